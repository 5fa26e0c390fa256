"""The background task that keeps a connection and sends: the spool, oldest first, and then what is in memory.

While the broker is there, new events wait in memory, and in the spool only when memory is full. When the connection is
lost or the broker takes nothing (a memory or disk alarm), those in memory go to the spool and so does every new one.
So what is in memory is newer than what is on disk, but for an overflow; and then memory is sent from as well, or the
overflow would never end. It also has its turn while the broker refuses events that are in the spool.
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
"""Short: events of other types wait behind those that the broker refuses."""

_BATCH_BYTES = 4 * 2**20
_LOOK_SECONDS = 0.2
"""How often to look whether a broker that took nothing does again."""

_logger = logging.getLogger(__name__)


class _RecordBatch:
    """Events published together. Until the broker answers, the outcome of each is UNKNOWN."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.trouble = ""
        self._outcomes: Sequence[Outcome] = [Outcome.UNKNOWN] * len(records)

    async def fly(self, channel: ConfirmingChannel, seconds: float) -> None:
        """Publish the events and note what became of each."""
        if channel.closed:
            return  # while we read from the spool, say
        messages = [Message(record.routing_key, record.body) for record in self.records]
        published = await channel.publish(messages, seconds)
        self._outcomes, self.trouble = published.outcomes, published.trouble

    def of(self, outcome: Outcome) -> list[Record]:
        """The events that had an outcome, in order."""
        return [record for record, own in zip(self.records, self._outcomes, strict=True) if own is outcome]


class _ConnectionLost(Exception):
    """The channel can no longer be used; the message says what is known of why."""


class Sender:
    """Sends from a line in memory and from a spool, if there is one. `changed` is called when memory has more room."""

    def __init__(
        self,
        url: str,
        line: BoundedQueue,
        spooling: AsyncSpool | None,
        counters: Counters,
        changed: Callable[[], None],
        at_once: int,
        confirm_seconds: float,
    ) -> None:
        self._url = url
        self._line = line
        self._spooling = spooling
        self._counters = counters
        self._changed = changed
        self._at_once = at_once
        self._confirm_seconds = confirm_seconds
        self._say = RateLimitedLog(_logger)
        self._work = asyncio.Event()
        self._segment: Segment | None = None
        """The segment that is being sent. It is deleted when each of its events is confirmed or in another one."""
        self._left: list[Record] = []
        """Its events that have no answer yet."""
        self._again: list[Record] = []
        """Its events that the broker refused."""
        self._refusals = 0
        self._turn_of_memory = False
        """After a flight from the spool with refusals: events of other types must not wait until those are taken."""
        self._channel: ConfirmingChannel | None = None
        self._lost = False
        """Whether an attempt to use the broker has failed, and none has succeeded since."""

    @property
    def away(self) -> bool:
        """Whether the broker is known to take nothing. Until the first attempt has failed it is thought to take it."""
        return self._lost or (self._channel is not None and self._channel.blocked is not None)

    def wake(self) -> None:
        """There may be something to send."""
        self._work.set()

    async def run(self) -> None:
        """Send for ever; it ends by being cancelled, and then every event is still counted where it is."""
        attempt = 0
        while True:
            sent = self._counters.sent
            try:
                async with confirming(self._url, "gcc event publisher", EXCHANGE) as self._channel:
                    await self._use(self._channel)
            except (BrokerUnavailable, _ConnectionLost) as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001  # whatever it is, crawlers go on and so do we
                reason = f"{type(error).__name__}: {error}"
            self._channel, self._lost = None, True
            attempt = 1 if self._counters.sent > sent else attempt + 1
            self._say.warn("away", "events wait in %s, the broker cannot be used: %s", self._waiting_place, reason)
            self.set_aside()
            await asyncio.sleep(_RECONNECT.seconds(attempt))

    def set_aside(self) -> None:
        """Hand what is in memory to the spool, if there is one."""
        if self._spooling is not None:
            for record in self._line.first(len(self._line)):
                self._spooling.add(record)
            self._line.leave(len(self._line))

    async def _use(self, channel: ConfirmingChannel) -> None:
        channel.when_closed(self.wake)
        if self._lost:
            _logger.info("the broker is back")
        self._lost = False
        while True:
            await self._wait_while_blocked(channel)
            self._bypass_the_disk()
            if not self._memory_next() and (self._left or await self._next_segment()):
                flight = await self._send_spooled(channel)
                self._turn_of_memory = bool(flight.of(Outcome.REFUSED))
            elif self._line:
                flight = await self._send_line(channel)
                self._turn_of_memory = False
            else:
                await self._work.wait()
                self._work.clear()
                flight = None
            unanswered = flight is not None and channel.blocked is None and flight.of(Outcome.UNKNOWN)
            if channel.closed or unanswered:
                raise _ConnectionLost((flight and flight.trouble) or "it closed the connection")
            await self._slow_down(flight)

    async def _wait_while_blocked(self, channel: ConfirmingChannel) -> None:
        was_blocked = False
        while (reason := channel.blocked) is not None and not channel.closed:
            was_blocked = True
            self._say.warn("blocked", "the broker takes nothing (%s): events wait in %s", reason, self._waiting_place)
            self.set_aside()
            await asyncio.sleep(_LOOK_SECONDS)
        if was_blocked and not channel.closed:
            _logger.info("the broker takes events again")

    @property
    def _waiting_place(self) -> str:
        return "memory" if self._spooling is None else "the spool"

    def _bypass_the_disk(self) -> None:
        """Events that wait for a disk which does not take them are sent instead, while the broker is there."""
        if self._spooling is not None and self._spooling.stuck and not self._line.full:
            self._line.put_back(self._spooling.take_back(self._at_once))

    def _memory_next(self) -> bool:
        return self._line.full or (self._turn_of_memory and len(self._line) > 0)

    async def _send_line(self, channel: ConfirmingChannel) -> _RecordBatch:
        flight = _RecordBatch(self._line.first(self._at_once, _BATCH_BYTES))
        try:
            await flight.fly(channel, self._confirm_seconds)
        finally:
            # Also when we are cancelled: what was confirmed is not sent again, and the rest is still somewhere.
            self._line.leave(len(flight.records))
            self._line.put_back(flight.of(Outcome.UNKNOWN))
            behind = self._line if self._spooling is None or self._spooling.stuck else self._spooling
            for record in flight.of(Outcome.REFUSED):
                behind.add(record)
            self._counters.memory_sent(len(flight.of(Outcome.CONFIRMED)))
            self._changed()
        return flight

    async def _next_segment(self) -> bool:
        """Begin to read the oldest segment; False if there is none."""
        if self._spooling is None:
            return False
        if self._segment is not None:
            if not await self._spooling.replace(self._segment, self._again):
                self._left, self._again = self._again, []  # from where they are, then
                return True
            self._segment, self._again = None, []
        if not self._counters.in_spool and not await self._spooling.take_over():
            return False
        if (segment := await self._spooling.oldest()) is None:
            return False
        self._segment, self._left = segment, list(segment.records)
        return True

    async def _send_spooled(self, channel: ConfirmingChannel) -> _RecordBatch:
        flight = _RecordBatch(first(self._left, self._at_once, _BATCH_BYTES))
        try:
            await flight.fly(channel, self._confirm_seconds)
        finally:
            self._left[: len(flight.records)] = flight.of(Outcome.UNKNOWN)
            self._again += flight.of(Outcome.REFUSED)
            self._counters.spool_sent(len(flight.of(Outcome.CONFIRMED)))
        return flight

    async def _slow_down(self, flight: _RecordBatch | None) -> None:
        """Wait a little after a flight of which the broker refused something."""
        if flight is None:
            return
        refused = len(flight.of(Outcome.REFUSED))
        if not refused:
            self._refusals = 0
            return
        self._refusals += 1
        self._say.warn("refused", "the broker refused %d events, they are sent again: %s", refused, flight.trouble)
        await asyncio.sleep(_REFUSED.seconds(self._refusals))
