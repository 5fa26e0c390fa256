"""The event of one of Beat's log objects: its fields under the names of the contract.

PostgreSQL makes the same event of the object's row (gcc_platform/migration/legacy_tables.py), for the backfill and for
repairs: tests/gcc_platform/migration/test_dual_written.py compares the two.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
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
_LAST_TAKEN = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""A later time is a mistake, such as milliseconds."""


def event_of(log_type: str, fields: Mapping[str, Any], zone: ZoneInfo | None = None) -> tuple[str, dict[str, Any]]:
    """The event type's name, and the event.

    Lists of pairs become objects; the dimension `taken_at_timestamp` (Unix seconds) is a post's publish_time, the
    dimension `store` an order's store. With a zone, the event is that of a row: event_timestamp is the log's
    `timestamp` in it, to the microsecond, and a source that is missing is an empty one.
    """
    event = {_RENAMED_FIELDS.get(name, name): value for name, value in fields.items() if name not in _NOT_SENT}
    for name in ("metrics", "dimensions"):
        if name in event:
            event[name] = by_key(event[name])
    for name in [each for each in event if each.endswith(("_metrics", "_dimensions"))]:
        event[name] = by_key(event[name])
        if not event[name]:
            del event[name]  # unknown to the contract: it would be stored as an empty object
    dimensions = event.get("dimensions") or {}
    if log_type == "post_log" and "publish_time" not in event:
        event["publish_time"] = _time_of(dimensions.get("taken_at_timestamp"))
    if log_type == "order_log":
        event.setdefault("store", dimensions.get("store"))
    if log_type.startswith("yt_"):
        event.setdefault("platform", "YOUTUBE")
    if zone and isinstance(at := fields.get("timestamp"), datetime):
        event["event_timestamp"] = utc_of(at, zone).isoformat(timespec="microseconds")
        if event.get("source", "") is None:
            event["source"] = ""
    return _RENAMED_TYPES.get(log_type, log_type), event


def by_key(values: object) -> dict[str, Any]:
    """A list of key-value pairs as a mapping: of equal keys the last one counts, what is not a pair is left out.

    A pair is a mapping or an object; a key that is not text is its JSON. A mapping is copied; anything else is empty.
    """
    if isinstance(values, Mapping):
        return dict(values)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        return {}
    return {_text(pair["key"]): pair.get("value") for pair in _pairs(values) if pair.get("key") is not None}


def utc_of(at: datetime, zone: ZoneInfo) -> datetime:
    """A naive time of a zone in UTC, by PostgreSQL's rule for AT TIME ZONE.

    In the hour that a clock repeats, the later time is taken; in the one that it skips, too: the clock had not been
    changed.
    """
    if at.tzinfo:
        return at.astimezone(UTC)
    return max(at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _pairs(values: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for each in values:
        if isinstance(each, Mapping):
            yield each
        elif hasattr(each, "__dict__"):
            yield vars(each)


def _text(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def _time_of(seconds: object) -> str | None:
    """The time of Unix seconds; None if they are not a number between 1970 and 2100."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LAST_TAKEN:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat()
