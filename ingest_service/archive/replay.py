"""Letters published again to their event type's queue, with their past in their headers."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from uuid import uuid4

from ingest_service.archive.table import DeadLetterTable, Selection, StoredDeadLetter
from ingest_service.broker.publisher import Publisher
from ingest_service.dead_letters.headers import DeadLetterHistory
from ingest_service.events.contract import EXCHANGE, EventType
from ingest_service.events.registry import EVENT_TYPES

_PAGE = 500  # letters in memory, and unconfirmed at once


class Replay:
    """One replay: publishes letters, and records each chunk of them as soon as the broker has it.

    A crash in between leaves letters published and not recorded. They look as if they waited still, and publishing them
    once more does no harm: events are told apart by their event_id.
    """

    def __init__(self, url: str, table: DeadLetterTable, rate: float | None, to: EventType | None = None) -> None:
        """`url` is the broker's, `rate` in letters a second; `to` is the event type they are published as, if not each
        as its own.
        """
        self.id = uuid4()
        self._url = url
        self._table = table
        self._rate = rate
        self._to = to

    async def run(self, selection: Selection, recorded: Callable[[int], None]) -> None:
        """Publish every selected letter that has a destination once, and tell how many are recorded whenever some are.

        Raises NotConfirmed, InsertFailed or ClickHouseUnavailable; what is recorded by then stays so.
        """
        started, count = time.monotonic(), 0
        async with Publisher(self._url, "gcc-ingest dead-letters replay") as publisher:
            async for page in self._table.pages(selection, _PAGE):
                for chunk in self._chunks([letter for letter in page if destination(letter, self._to)]):
                    await self._publish(publisher, chunk)
                    await self._table.record(self.id, chunk)
                    recorded(len(chunk))
                    count += len(chunk)
                    if self._rate:
                        await asyncio.sleep(started + count / self._rate - time.monotonic())

    def _chunks(self, page: Sequence[StoredDeadLetter]) -> Iterator[Sequence[StoredDeadLetter]]:
        """A second's letters each, or the page."""
        size = max(1, int(self._rate)) if self._rate else _PAGE
        return (page[start : start + size] for start in range(0, len(page), size))

    async def _publish(self, publisher: Publisher, letters: Sequence[StoredDeadLetter]) -> None:
        for event_type, each in groupby(letters, key=lambda letter: destination(letter, self._to)):
            assert event_type is not None
            alike = list(each)
            headers = [self._history(letter).to_headers() for letter in alike]
            await publisher.publish(event_type.routing_key, [letter.body for letter in alike], headers)

    def _history(self, letter: StoredDeadLetter) -> DeadLetterHistory:
        return DeadLetterHistory(letter.attempts, letter.first_rejected_at, str(self.id), letter.letter_id)


def destination(letter: StoredDeadLetter, to: EventType | None) -> EventType | None:
    """The event type that a letter is published as: `to`, or else its own.

    None where its headers name another address than its own type's. Anybody who can publish may have written them, and
    a replay has the operator's rights: it publishes to EXCHANGE, as an event of a known type, and nowhere else.
    """
    if to is not None:
        return to
    own = EVENT_TYPES.get(letter.event_type)
    named = letter.original_exchange, letter.original_routing_key
    return own if own and named == (EXCHANGE, own.routing_key) else None
