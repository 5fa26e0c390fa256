"""The background task that keeps a connection and sends events: the spool first, oldest first, then memory.

While the broker is available, new events wait in memory, and in the spool only when memory is full. When the
connection is lost or the broker blocks publishers (a memory or disk alarm), events in memory and all new ones go to the
spool. So events in memory are newer than those on disk, except after an overflow. A full memory queue is therefore sent
before the spool, or the overflow would never end. Memory also gets its turn while the broker refuses events from the
spool.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ingest_service.backoff import Backoff
from ingest_service.broker.confirms import ConfirmingChannel, confirming
from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.published import Message, Outcome
from ingest_service.events.contract import EXCHANGE
from ingest_service.publisher.async_spool import AsyncSpool
from ingest_service.publisher.bounded_queue import BoundedQueue, first
from ingest_service.publisher.counters import Counters
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.record import Record
from ingest_service.publisher.spool import Segment

_RECONNECT = Backoff(first=0.2, most=15.0)
_REFUSED = Backoff(first=0.1, most=1.0)
"""Short, because events of other types wait behind the refused ones."""

_BATCH_BYTES = 4 * 2**20
_CHECK_SECONDS = 0.2
"""Interval at which to check whether a blocked broker accepts publishes again."""

_logger = logging.getLogger(__name__)


class _RecordBatch:
    """Events published together. Outcomes are UNKNOWN until the broker answers."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.trouble = ""
        self._outcomes: Sequence[Outcome] = [Outcome.UNKNOWN] * len(records)

    async def publish(self, channel: ConfirmingChannel, seconds: float) -> None:
        """Publish the events and store the outcome of each. The timeout is in seconds."""
        if channel.closed:
            return  # e.g. closed while the spool was read
        messages = [Message(record.routing_key, record.body) for record in self.records]
        published = await channel.publish(messages, seconds)
        self._outcomes, self.trouble = published.outcomes, published.trouble

    def of(self, outcome: Outcome) -> list[Record]:
        """The events with an outcome, in order."""
        return [record for record, own in zip(self.records, self._outcomes, strict=True) if own is outcome]


class _ConnectionLost(Exception):
    """The channel can no longer be used; the message has the cause, if known."""


class Sender:
    """Sends from a queue in memory and from an optional spool. `changed` is called when memory has more room."""

    def __init__(
        self,
        url: str,
        queue: BoundedQueue,
        spooling: AsyncSpool | None,
        counters: Counters,
        changed: Callable[[], None],
        batch_events: int,
        confirm_seconds: float,
    ) -> None:
        self._url = url
        self._queue = queue
        self._spooling = spooling
        self._counters = counters
        self._changed = changed
        self._batch_events = batch_events
        self._confirm_seconds = confirm_seconds
        self._log = RateLimitedLog(_logger)
        self._work = asyncio.Event()
        self._segment: Segment | None = None
        """The segment being sent. It is deleted once each of its events is confirmed or in another segment."""
        self._unanswered: list[Record] = []
        """Its events that the broker has not answered yet."""
        self._again: list[Record] = []
        """Its events that the broker refused."""
        self._refusals = 0
        self._turn_of_memory = False
        """Set after a spool batch with refusals: events of other types must not wait until those are accepted."""
        self._channel: ConfirmingChannel | None = None
        self._lost = False
        """Whether an attempt to use the broker failed and none has succeeded since."""

    @property
    def away(self) -> bool:
        """Whether the broker is known to be unavailable. It is assumed available until an attempt fails."""
        return self._lost or (self._channel is not None and self._channel.blocked is not None)

    def wake(self) -> None:
        """Signal that there may be events to send."""
        self._work.set()

    async def run(self) -> None:
        """Send until cancelled. The counters stay correct when cancelled."""
        attempt = 0
        while True:
            sent = self._counters.sent
            try:
                async with confirming(self._url, "gcc event publisher", EXCHANGE) as self._channel:
                    await self._use(self._channel)
            except (BrokerUnavailable, _ConnectionLost) as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001  # no error may stop publishing
                reason = f"{type(error).__name__}: {error}"
            self._channel, self._lost = None, True
            attempt = 1 if self._counters.sent > sent else attempt + 1
            self._log.warn("away", "events wait in %s, the broker cannot be used: %s", self._waiting_place, reason)
            self.set_aside()
            await asyncio.sleep(_RECONNECT.seconds(attempt))

    def set_aside(self) -> None:
        """Move the events in memory to the spool, if there is one."""
        if self._spooling is not None:
            for record in self._queue.first(len(self._queue)):
                self._spooling.add(record)
            self._queue.leave(len(self._queue))

    async def _use(self, channel: ConfirmingChannel) -> None:
        channel.when_closed(self.wake)
        if self._lost:
            _logger.info("the broker is back")
        self._lost = False
        while True:
            await self._wait_while_blocked(channel)
            self._bypass_the_disk()
            if not self._memory_next() and (self._unanswered or await self._next_segment()):
                batch = await self._send_spooled(channel)
                self._turn_of_memory = bool(batch.of(Outcome.REFUSED))
            elif self._queue:
                batch = await self._send_queued(channel)
                self._turn_of_memory = False
            else:
                await self._work.wait()
                self._work.clear()
                batch = None
            unanswered = batch is not None and channel.blocked is None and batch.of(Outcome.UNKNOWN)
            if channel.closed or unanswered:
                raise _ConnectionLost((batch and batch.trouble) or "the broker closed the connection")
            await self._slow_down(batch)

    async def _wait_while_blocked(self, channel: ConfirmingChannel) -> None:
        was_blocked = False
        while (reason := channel.blocked) is not None and not channel.closed:
            was_blocked = True
            self._log.warn(
                "blocked", "the broker blocks publishers (%s): events wait in %s", reason, self._waiting_place
            )
            self.set_aside()
            await asyncio.sleep(_CHECK_SECONDS)
        if was_blocked and not channel.closed:
            _logger.info("the broker accepts events again")

    @property
    def _waiting_place(self) -> str:
        return "memory" if self._spooling is None else "the spool"

    def _bypass_the_disk(self) -> None:
        """Move events that wait for a failing disk back to memory, to be sent while the broker is available."""
        if self._spooling is not None and self._spooling.stuck and not self._queue.full:
            self._queue.put_back(self._spooling.take_back(self._batch_events))

    def _memory_next(self) -> bool:
        return self._queue.full or (self._turn_of_memory and len(self._queue) > 0)

    async def _send_queued(self, channel: ConfirmingChannel) -> _RecordBatch:
        batch = _RecordBatch(self._queue.first(self._batch_events, _BATCH_BYTES))
        try:
            await batch.publish(channel, self._confirm_seconds)
        finally:
            # Also when cancelled: confirmed events must not be sent again, and the others must not be lost.
            self._queue.leave(len(batch.records))
            self._queue.put_back(batch.of(Outcome.UNKNOWN))
            behind = self._queue if self._spooling is None or self._spooling.stuck else self._spooling
            for record in batch.of(Outcome.REFUSED):
                behind.add(record)
            self._counters.memory_sent(len(batch.of(Outcome.CONFIRMED)))
            self._changed()
        return batch

    async def _next_segment(self) -> bool:
        """Load the next segment to send; False if there is none."""
        if self._spooling is None:
            return False
        if self._segment is not None:
            if not await self._spooling.replace(self._segment, self._again):
                self._unanswered, self._again = self._again, []  # sent again from the same segment
                return True
            self._segment, self._again = None, []
        if not self._counters.in_spool and not await self._spooling.take_over():
            return False
        if (segment := await self._spooling.oldest()) is None:
            return False
        self._segment, self._unanswered = segment, list(segment.records)
        return True

    async def _send_spooled(self, channel: ConfirmingChannel) -> _RecordBatch:
        batch = _RecordBatch(first(self._unanswered, self._batch_events, _BATCH_BYTES))
        try:
            await batch.publish(channel, self._confirm_seconds)
        finally:
            self._unanswered[: len(batch.records)] = batch.of(Outcome.UNKNOWN)
            self._again += batch.of(Outcome.REFUSED)
            self._counters.spool_sent(len(batch.of(Outcome.CONFIRMED)))
        return batch

    async def _slow_down(self, batch: _RecordBatch | None) -> None:
        """Back off after a batch with refused events."""
        if batch is None:
            return
        refused = len(batch.of(Outcome.REFUSED))
        if not refused:
            self._refusals = 0
            return
        self._refusals += 1
        self._log.warn("refused", "the broker refused %d events, they are sent again: %s", refused, batch.trouble)
        await asyncio.sleep(_REFUSED.seconds(self._refusals))
