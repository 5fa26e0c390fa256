"""Replays dead letters: publishes them to their event type's queue again, with their history in the headers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from itertools import groupby
from uuid import uuid4

from ingest_service.archive.table import DeadLetterTable, Selection, StoredDeadLetter
from ingest_service.broker.cancellation import cancelled
from ingest_service.broker.publisher import Publisher
from ingest_service.dead_letters.headers import DeadLetterHistory
from ingest_service.events.contract import EXCHANGE, EventType
from ingest_service.events.registry import EVENT_TYPES

_PAGE = 10_000  # letters that are read and unconfirmed at a time

_Page = list[StoredDeadLetter]


class Replay:
    """One replay: publishes letters chunk by chunk, and records each chunk while the next one is published.

    A crash leaves up to two chunks published and not recorded. Their letters still appear as waiting, and publishing
    them again does no harm: events are deduplicated by event_id.
    """

    def __init__(self, url: str, table: DeadLetterTable, rate: float | None, to: EventType | None = None) -> None:
        """`url` is the broker's; `rate` is in letters per second; `to` is the event type that all letters are published
        as, None for each letter's own.
        """
        self.id = uuid4()
        self._url = url
        self._table = table
        self._rate = rate
        self._to = to

    async def run(self, selection: Selection, recorded: Callable[[int], None], limit: int | None = None) -> None:
        """Publish every selected letter that has a destination; calls `recorded` with the size of each recorded chunk.

        With a limit, publish the first ones, in the order of their types and ids.

        Raises NotConfirmed, InsertFailed or ClickHouseUnavailable; chunks recorded before that stay recorded.
        """
        started, count = time.monotonic(), 0
        recording = asyncio.create_task(_nothing())
        try:
            async with (
                Publisher(self._url, "gcc-ingest dead-letters replay") as publisher,
                aclosing(_reading_ahead(self._table.pages(selection, _PAGE))) as pages,
            ):
                async for page in pages:
                    chosen = [letter for letter in page if destination(letter, self._to)]
                    for chunk in self._chunks(chosen if limit is None else chosen[: limit - count]):
                        await self._publish(publisher, chunk)
                        await recording
                        recording = asyncio.create_task(self._record(chunk, recorded))
                        count += len(chunk)
                        if self._rate:
                            await asyncio.sleep(started + count / self._rate - time.monotonic())
                    if count == limit:
                        break
        finally:
            await recording

    async def _record(self, chunk: Sequence[StoredDeadLetter], recorded: Callable[[int], None]) -> None:
        await self._table.record(self.id, chunk)
        recorded(len(chunk))

    def _chunks(self, page: Sequence[StoredDeadLetter]) -> Iterator[Sequence[StoredDeadLetter]]:
        """Chunks of one second's letters, or the whole page without a rate."""
        size = max(1, int(self._rate)) if self._rate else _PAGE
        return (page[start : start + size] for start in range(0, len(page), size))

    async def _publish(self, publisher: Publisher, letters: Sequence[StoredDeadLetter]) -> None:
        for event_type, each in groupby(letters, key=lambda letter: destination(letter, self._to)):
            assert event_type is not None
            of_type = list(each)
            headers = [self._history(letter).to_headers() for letter in of_type]
            await publisher.publish(event_type.routing_key, [letter.body for letter in of_type], headers)

    def _history(self, letter: StoredDeadLetter) -> DeadLetterHistory:
        return DeadLetterHistory(letter.attempts, letter.first_rejected_at, str(self.id), letter.letter_id)


async def _nothing() -> None:
    """Stands for the recording before the first chunk's."""


async def _reading_ahead(pages: AsyncGenerator[_Page, None]) -> AsyncGenerator[_Page, None]:
    """Yield the pages, and read the next one while the caller works on one."""
    reading = asyncio.create_task(_next(pages))
    try:
        while (page := await reading) is not None:
            reading = asyncio.create_task(_next(pages))
            yield page
    finally:
        await cancelled([reading])
        await pages.aclose()


async def _next(pages: AsyncGenerator[_Page, None]) -> _Page | None:
    return await anext(pages, None)


def destination(letter: StoredDeadLetter, to: EventType | None) -> EventType | None:
    """The event type that a letter is published as: `to`, or its own.

    None if its headers name another address than its type's. Headers are untrusted, and a replay has the operator's
    rights: it publishes only to EXCHANGE, as an event of a known type.
    """
    if to is not None:
        return to
    own = EVENT_TYPES.get(letter.event_type)
    named = letter.original_exchange, letter.original_routing_key
    return own if own and named == (EXCHANGE, own.routing_key) else None
