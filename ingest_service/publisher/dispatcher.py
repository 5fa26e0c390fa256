"""make_scrape_log_event, a drop-in replacement for the function of that name in Beat's dispatcher."""

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ingest_service.publisher import legacy_writes
from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.legacy_writes import BadLegacyWrites, LegacyWrites
from ingest_service.publisher.log_events import event_of
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.spool import SpoolUnusable

URL_VARIABLE = "AMQP_URL"
SPOOL_VARIABLE = "GCC_SPOOL_DIR"

_SWEEP_SECONDS = 1.0
_EXIT_SECONDS = 2.0
_logger = logging.getLogger(__name__)
_log = RateLimitedLog(_logger)
_log_rarely = RateLimitedLog(_logger, seconds=600)


class _LoopPublisher:
    """The publisher of one event loop, which sends while that loop runs."""

    def __init__(self) -> None:
        self.publisher: EventPublisher | None = None
        self.starting = asyncio.Lock()
        self.thread = threading.current_thread()

    async def get(self) -> EventPublisher:
        """The publisher, started on first use. Raises KeyError or ValueError if AMQP_URL is missing or invalid."""
        if self.publisher is None:
            async with self.starting:
                if self.publisher is None:
                    self.publisher = await _enter()
        return self.publisher

    def has_ended(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop will never run again."""
        return loop.is_closed() or not (loop.is_running() or self.thread.is_alive())

    def abandon(self) -> None:
        """Abandon the publisher without its loop: its events in memory go to its spool."""
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.abandon()


class _Publishers:
    """The publishers of this process, one per event loop, in any thread."""

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopPublisher] = {}
        self._lock = threading.Lock()
        self._sweep_at = 0.0

    def of(self, loop: asyncio.AbstractEventLoop) -> _LoopPublisher:
        """The entry of a loop. Once per `_SWEEP_SECONDS` it also abandons the publishers of ended loops."""
        found = self._by_loop.get(loop)
        if found is None or time.monotonic() >= self._sweep_at:
            with self._lock:
                self._sweep_at = time.monotonic() + _SWEEP_SECONDS
                for each in [each for each, own in self._by_loop.items() if own.has_ended(each)]:
                    self._by_loop.pop(each).abandon()
                found = self._by_loop.setdefault(loop, _LoopPublisher())
        return found

    async def close(self) -> None:
        """Close the publisher of the running loop."""
        with self._lock:
            own = self._by_loop.pop(asyncio.get_running_loop(), None)
        if own is not None and own.publisher is not None:
            await own.publisher.__aexit__(None, None, None)

    def abandon_all(self) -> None:
        """Abandon every publisher at process exit."""
        with self._lock:
            remaining, self._by_loop = self._by_loop, {}
        for loop, own in remaining.items():
            if loop.is_running() and own.thread is not threading.current_thread():
                _abandon_within(loop, own)
            else:
                own.abandon()

    def reset_after_fork(self) -> None:
        """Forget the parent's publishers in a forked child."""
        self._by_loop = {}
        self._lock = threading.Lock()  # a thread of the parent may hold the old one


def _abandon_within(loop: asyncio.AbstractEventLoop, own: _LoopPublisher) -> None:
    """Abandon a publisher in the thread of its running loop: its state is not thread-safe."""
    done = threading.Event()

    def abandon() -> None:
        own.abandon()
        done.set()

    with suppress(RuntimeError):  # the loop has just been closed
        loop.call_soon_threadsafe(abandon)
        done.wait(_EXIT_SECONDS)


_publishers = _Publishers()
atexit.register(_publishers.abandon_all)
os.register_at_fork(after_in_child=_publishers.reset_after_fork)


async def make_scrape_log_event(log_type: str, log: Any) -> None:
    """Publish a log object as an event of `log_type`, through the publisher of the running event loop. Never raises.

    Assumptions about Beat's dispatcher: the coroutine is called with the type's name and one log object, either a
    mapping or an object whose attributes are the fields; ``metrics`` and ``dimensions`` are mappings or lists of
    ``{"key": ..., "value": ...}``. Beat's field names are mapped: ``platform_post_id`` is the shortcode,
    ``*_channel_id`` of a relationship are its profile ids, the dimension ``taken_at_timestamp`` (Unix seconds) is a
    post's publish_time, the dimension ``store`` an order's store. Beat's type ``yt_profile_relationship_logs`` is
    yt_profile_relationship_log. ``timestamp`` is not sent: event_timestamp is the time of the call, unless the log has
    a field of that name. A log with an ``event_id`` is dual-written: its event_timestamp is its ``timestamp``, in the
    zone of GCC_LEGACY_ZONE. While GCC_LEGACY_WRITES is ``rows``, nothing is published.

    AMQP_URL is the broker. GCC_SPOOL_DIR, if set, is a folder in which each process takes the first free spool (0, 1,
    ...) and sends the events that dead processes left in the others. If the folder cannot be used, an error is logged
    and events wait in memory only, until the process restarts. Each event loop has its own publisher, in any thread,
    and so has a forked process. Call `close` before the event loop ends; otherwise its events in memory go to the
    spool.
    """
    if legacy_writes.logged_mode() is LegacyWrites.ROWS:
        return
    try:
        publisher = await _publishers.of(asyncio.get_running_loop()).get()
    except KeyError:
        _log.warn(URL_VARIABLE, "%s is not set: events are lost", URL_VARIABLE)
    except Exception as error:  # noqa: BLE001  # an invalid setting must not stop a crawl
        _log.warn(str(error), "%s: events are lost: %s", URL_VARIABLE, error)
    else:
        try:
            event_type, event = _event(log_type, log)
        except BadLegacyWrites as error:
            _log_rarely.error(str(error), "%s: until then, events of logs with an event_id are lost", error)
            publisher.counters.refused += 1
        except Exception as error:  # noqa: BLE001  # an object's own code may raise anything
            _log.warn("log", "a log of type %.60s is lost, it cannot be read: %s", log_type, type(error).__name__)
            publisher.counters.refused += 1
        else:
            await publisher.emit(event_type, event)


async def close() -> None:
    """Close the publisher of this event loop, waiting a bounded time for its confirms."""
    await _publishers.close()


async def _enter() -> EventPublisher:
    url = os.environ[URL_VARIABLE]
    if folder := os.environ.get(SPOOL_VARIABLE):
        try:
            return await EventPublisher(url, spools=folder).__aenter__()
        except SpoolUnusable as error:
            _log_rarely.error(
                str(error),
                "%s: %s. Events wait in memory only until this process restarts: "
                "those not confirmed when it exits are lost",
                SPOOL_VARIABLE,
                error,
            )
    return await EventPublisher(url).__aenter__()


def _event(log_type: str, log: Any) -> tuple[str, dict[str, Any]]:
    """A log that has an event_id has a row with the same one: its time has to be the row's as well."""
    fields = dict(log) if isinstance(log, Mapping) else _attributes(log)
    return event_of(log_type, fields, legacy_writes.zone() if fields.get("event_id") else None)


def _attributes(log: object) -> dict[str, Any]:
    return {name: value for name, value in vars(log).items() if not name.startswith("_")}
