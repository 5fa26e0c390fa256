"""The event of one of Beat's log objects: its fields under the names of the contract."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

_RENAMED_TYPES = {"yt_profile_relationship_logs": "yt_profile_relationship_log"}
"""Event types that Beat's dispatcher names differently."""
_RENAMED_FIELDS = {
    "platform_post_id": "shortcode",
    "source_channel_id": "source_profile_id",
    "target_channel_id": "target_profile_id",
}
_NOT_SENT = {"id", "timestamp"}
"""The row's id, and a time without a zone by the crawler's clock."""


def event_of(log_type: str, fields: Mapping[str, Any], zone: ZoneInfo | None = None) -> tuple[str, dict[str, Any]]:
    """The event type's name, and the event.

    Lists of pairs become objects; the dimension `taken_at_timestamp` (Unix seconds) is a post's publish_time, the
    dimension `store` an order's store. With a zone, event_timestamp is the log's `timestamp` in it, to the microsecond.
    """
    event = {_RENAMED_FIELDS.get(name, name): value for name, value in fields.items() if name not in _NOT_SENT}
    for name in ("metrics", "dimensions", *(each for each in event if each.endswith(("_metrics", "_dimensions")))):
        if name in event:
            event[name] = by_key(event[name])
    dimensions = event.get("dimensions") or {}
    if log_type == "post_log" and "publish_time" not in event and (taken := dimensions.get("taken_at_timestamp")):
        event["publish_time"] = datetime.fromtimestamp(taken, UTC).isoformat()
    if log_type == "order_log":
        event.setdefault("store", dimensions.get("store"))
    if log_type.startswith("yt_"):
        event.setdefault("platform", "YOUTUBE")
    if zone and isinstance(at := fields.get("timestamp"), datetime):
        local = at if at.tzinfo else at.replace(tzinfo=zone)
        event["event_timestamp"] = local.astimezone(UTC).isoformat(timespec="microseconds")
    return _RENAMED_TYPES.get(log_type, log_type), event


def by_key(values: Mapping[str, Any] | Iterable[Any] | None) -> dict[str, Any]:
    """A list of key-value pairs as a mapping: of equal keys the last one counts, a pair without a key is left out.

    A mapping is copied. The backfill makes the same of a row (gcc_platform/migration/json_lists.py).
    """
    if isinstance(values, Mapping):
        return dict(values)
    pairs = (each if isinstance(each, Mapping) else vars(each) for each in values or ())
    return {pair["key"]: pair.get("value") for pair in pairs if pair.get("key") is not None}
