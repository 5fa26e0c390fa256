"""make_scrape_log_event, for crawler code that was written against Beat's dispatcher of that name."""

import asyncio
import atexit
import logging
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.rarely import Rarely
from ingest_service.publisher.spool import SpoolInUse

URL_VARIABLE = "AMQP_URL"
SPOOL_VARIABLE = "GCC_SPOOL_DIR"

_MOST_PROCESSES = 1_000
_RENAMED_TYPES = {"yt_profile_relationship_logs": "yt_profile_relationship_log"}
"""Beat's dispatcher has one name of its own."""
_RENAMED_FIELDS = {
    "platform_post_id": "shortcode",
    "source_channel_id": "source_profile_id",
    "target_channel_id": "target_profile_id",
}
_NOT_SENT = {"id", "timestamp"}
"""The row's own number, and a time without a zone on the crawler's clock: emit says the time instead, as Beat did."""

_logger = logging.getLogger(__name__)
_say = Rarely(_logger)


class _Default:
    """The publisher of this process, begun by the first event and kept until the process or its event loop ends."""

    def __init__(self) -> None:
        self.publisher: EventPublisher | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()

    async def get(self) -> EventPublisher:
        """The publisher. Raises KeyError or ValueError for AMQP_URL, SpoolUnusable for GCC_SPOOL_DIR."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.leave_behind()
            self._loop, self._starting = loop, asyncio.Lock()
        if self.publisher is None:
            async with self._starting:
                if self.publisher is None:
                    self.publisher = await _entered()
        return self.publisher

    def leave_behind(self) -> None:
        """Give up a publisher whose loop is gone: what it had in memory goes to its spool."""
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.abandon()

    async def close(self) -> None:
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            await publisher.__aexit__(None, None, None)


_default = _Default()
atexit.register(_default.leave_behind)


async def make_scrape_log_event(log_type: str, log: Any) -> None:
    """Publish a log object as an event of `log_type`, through a publisher that this process shares. Never raises.

    Assumed of Beat's dispatcher: the coroutine is called with the type's name and one log object, either a mapping or
    an object whose attributes are the fields; ``metrics`` and ``dimensions`` are mappings or lists of ``{"key": ...,
    "value": ...}``. Its names for fields are understood: ``platform_post_id`` is the shortcode, ``*_channel_id`` of a
    relationship are its profile ids, the dimension ``taken_at_timestamp`` (Unix seconds) is a post's publish_time, the
    dimension ``store`` an order's store. Its type ``yt_profile_relationship_logs`` is yt_profile_relationship_log.
    ``timestamp`` is not sent: the event_timestamp is the time of the call, unless the log has one of that name.

    AMQP_URL names the broker. GCC_SPOOL_DIR, where set, is the folder under which every process takes a spool of its
    own, the first that is free (0, 1, ...); after a crash the next process takes it over. Call `close` before the event
    loop ends; at the exit of a process that did not, what is in memory goes to the spool.
    """
    try:
        publisher = await _default.get()
    except KeyError:
        _say.warn(URL_VARIABLE, "%s is not set: events are lost", URL_VARIABLE)
    except Exception as error:  # noqa: BLE001  # a wrong setting must not stop a crawl
        _say.warn(str(error), "%s, %s: events are lost: %s", URL_VARIABLE, SPOOL_VARIABLE, error)
    else:
        try:
            event_type, event = _event(log_type, log)
        except Exception as error:  # noqa: BLE001  # an object's own code may raise anything
            _say.warn("log", "a log of type %.60s is lost, it cannot be read: %s", log_type, type(error).__name__)
            publisher.counters.refused += 1
        else:
            await publisher.emit(event_type, event)


async def close() -> None:
    """Wait a bounded time for what make_scrape_log_event has published, and end its publisher."""
    await _default.close()


async def _entered() -> EventPublisher:
    url = os.environ[URL_VARIABLE]
    folder = os.environ.get(SPOOL_VARIABLE)
    if not folder:
        return await EventPublisher(url).__aenter__()
    for number in range(_MOST_PROCESSES):
        try:
            return await EventPublisher(url, Path(folder) / str(number)).__aenter__()
        except SpoolInUse:
            continue
    raise SpoolInUse(f"all {_MOST_PROCESSES} spools in {folder} are in use")


def _event(log_type: str, log: Any) -> tuple[str, dict[str, Any]]:
    """The type's name and the fields as the contract calls them."""
    fields = dict(log) if isinstance(log, Mapping) else _attributes(log)
    event = {_RENAMED_FIELDS.get(name, name): value for name, value in fields.items() if name not in _NOT_SENT}
    for name in ("metrics", "dimensions", *(each for each in event if each.endswith(("_metrics", "_dimensions")))):
        if name in event:
            event[name] = _by_key(event[name])
    dimensions = event.get("dimensions") or {}
    if log_type == "post_log" and "publish_time" not in event and (taken := dimensions.get("taken_at_timestamp")):
        event["publish_time"] = datetime.fromtimestamp(taken, UTC).isoformat()
    if log_type == "order_log":
        event.setdefault("store", dimensions.get("store"))
    if log_type.startswith("yt_"):
        event.setdefault("platform", "YOUTUBE")
    return _RENAMED_TYPES.get(log_type, log_type), event


def _attributes(log: object) -> dict[str, Any]:
    return {name: value for name, value in vars(log).items() if not name.startswith("_")}


def _by_key(values: Mapping[str, Any] | Iterable[Any] | None) -> dict[str, Any]:
    """A mapping, however the log had it."""
    if isinstance(values, Mapping):
        return dict(values)
    pairs = (each if isinstance(each, Mapping) else vars(each) for each in values or ())
    return {pair["key"]: pair["value"] for pair in pairs}
