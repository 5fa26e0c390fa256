"""make_scrape_log_event, for crawler code that was written against Beat's dispatcher of that name."""

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.spool import SpoolUnusable

URL_VARIABLE = "AMQP_URL"
SPOOL_VARIABLE = "GCC_SPOOL_DIR"

_SWEEP_SECONDS = 1.0
_EXIT_SECONDS = 2.0
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
_say = RateLimitedLog(_logger)
_say_seldom = RateLimitedLog(_logger, seconds=600)


class _OfLoop:
    """What belongs to one event loop: its publisher, which sends while that loop runs."""

    def __init__(self) -> None:
        self.publisher: EventPublisher | None = None
        self.starting = asyncio.Lock()
        self.thread = threading.current_thread()

    async def get(self) -> EventPublisher:
        """The publisher, begun by the first event. Raises KeyError or ValueError for AMQP_URL."""
        if self.publisher is None:
            async with self.starting:
                if self.publisher is None:
                    self.publisher = await _entered()
        return self.publisher

    def has_ended(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop will never run again."""
        return loop.is_closed() or not (loop.is_running() or self.thread.is_alive())

    def abandon(self) -> None:
        """Give the publisher up without its loop: what it has in memory goes to its spool."""
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.abandon()


class _Publishers:
    """The publishers of this process: one for each event loop, whichever thread it runs in."""

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, _OfLoop] = {}
        self._lock = threading.Lock()
        self._sweep_at = 0.0

    def of(self, loop: asyncio.AbstractEventLoop) -> _OfLoop:
        """What belongs to a loop. Now and then, what belongs to loops that have ended is given up."""
        found = self._by_loop.get(loop)
        if found is None or time.monotonic() >= self._sweep_at:
            with self._lock:
                self._sweep_at = time.monotonic() + _SWEEP_SECONDS
                for each in [each for each, own in self._by_loop.items() if own.has_ended(each)]:
                    self._by_loop.pop(each).abandon()
                found = self._by_loop.setdefault(loop, _OfLoop())
        return found

    async def close(self) -> None:
        """End the publisher of the running loop."""
        with self._lock:
            own = self._by_loop.pop(asyncio.get_running_loop(), None)
        if own is not None and own.publisher is not None:
            await own.publisher.__aexit__(None, None, None)

    def leave_all_behind(self) -> None:
        """Give up every publisher, at the end of the process."""
        with self._lock:
            left, self._by_loop = self._by_loop, {}
        for loop, own in left.items():
            if loop.is_running() and own.thread is not threading.current_thread():
                _abandon_within(loop, own)
            else:
                own.abandon()

    def leave_to_the_parent(self) -> None:
        """In a process that was forked: its parent's publishers are not its own."""
        self._by_loop = {}
        self._lock = threading.Lock()  # a thread that is not here may hold the other one


def _abandon_within(loop: asyncio.AbstractEventLoop, own: _OfLoop) -> None:
    """In the thread of a loop that still runs: nothing else may touch what it works on."""
    done = threading.Event()

    def abandon() -> None:
        own.abandon()
        done.set()

    with suppress(RuntimeError):  # it has just been closed
        loop.call_soon_threadsafe(abandon)
        done.wait(_EXIT_SECONDS)


_publishers = _Publishers()
atexit.register(_publishers.leave_all_behind)
os.register_at_fork(after_in_child=_publishers.leave_to_the_parent)


async def make_scrape_log_event(log_type: str, log: Any) -> None:
    """Publish a log object as an event of `log_type`, through a publisher that this process shares. Never raises.

    Assumed of Beat's dispatcher: the coroutine is called with the type's name and one log object, either a mapping or
    an object whose attributes are the fields; ``metrics`` and ``dimensions`` are mappings or lists of ``{"key": ...,
    "value": ...}``. Its names for fields are understood: ``platform_post_id`` is the shortcode, ``*_channel_id`` of a
    relationship are its profile ids, the dimension ``taken_at_timestamp`` (Unix seconds) is a post's publish_time, the
    dimension ``store`` an order's store. Its type ``yt_profile_relationship_logs`` is yt_profile_relationship_log.
    ``timestamp`` is not sent: the event_timestamp is the time of the call, unless the log has one of that name.

    AMQP_URL names the broker. GCC_SPOOL_DIR, where set, is the folder under which every process takes a spool of its
    own, the first that is free (0, 1, ...), and sends what processes that are gone have left in the others. Where it
    cannot be used, that is logged as an error and events wait in memory only, until the process is started again. Each
    event loop has a publisher of its own, in whichever thread it runs, and so has a process that is forked. Call
    `close` before the event loop ends; of one that ended without, what is in memory goes to the spool.
    """
    try:
        publisher = await _publishers.of(asyncio.get_running_loop()).get()
    except KeyError:
        _say.warn(URL_VARIABLE, "%s is not set: events are lost", URL_VARIABLE)
    except Exception as error:  # noqa: BLE001  # a wrong setting must not stop a crawl
        _say.warn(str(error), "%s: events are lost: %s", URL_VARIABLE, error)
    else:
        try:
            event_type, event = _event(log_type, log)
        except Exception as error:  # noqa: BLE001  # an object's own code may raise anything
            _say.warn("log", "a log of type %.60s is lost, it cannot be read: %s", log_type, type(error).__name__)
            publisher.counters.refused += 1
        else:
            await publisher.emit(event_type, event)


async def close() -> None:
    """Wait a bounded time for what make_scrape_log_event has published in this event loop, and end its publisher."""
    await _publishers.close()


async def _entered() -> EventPublisher:
    url = os.environ[URL_VARIABLE]
    if folder := os.environ.get(SPOOL_VARIABLE):
        try:
            return await EventPublisher(url, spools=folder).__aenter__()
        except SpoolUnusable as error:
            _say_seldom.error(
                str(error),
                "%s: %s. Until this process is started again its events wait in memory only: "
                "what the broker has not taken when it ends is lost",
                SPOOL_VARIABLE,
                error,
            )
    return await EventPublisher(url).__aenter__()


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
