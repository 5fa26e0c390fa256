"""Letters published again to where they came from, with their past in their headers."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from uuid import uuid4

from ingest_service.broker.publisher import Publisher
from ingest_service.headers import Past
from ingest_service.letters.table import Kept, LetterTable, Selection

_PAGE = 500  # letters in memory, and unconfirmed at once

Address = tuple[str, str]
"""An exchange and a routing key."""


class Replay:
    """One replay: publishes letters, and records each chunk of them as soon as the broker has it.

    A crash in between leaves letters published and not recorded. They look as if they waited still, and publishing them
    once more does no harm: events are told apart by their event_id.
    """

    def __init__(self, url: str, table: LetterTable, rate: float | None) -> None:
        """`url` is the broker's, `rate` in letters a second."""
        self.id = uuid4()
        self._url = url
        self._table = table
        self._rate = rate

    async def run(self, selection: Selection, recorded: Callable[[int], None]) -> None:
        """Publish every selected letter once, and tell how many are recorded whenever some are.

        Raises NotConfirmed, InsertFailed or ClickHouseUnavailable; what is recorded by then stays so.
        """
        started, count = time.monotonic(), 0
        async for page in self._table.pages(selection, _PAGE):
            for chunk in self._chunks(page):
                await self._publish(chunk)
                await self._table.record(self.id, chunk)
                recorded(len(chunk))
                count += len(chunk)
                if self._rate:
                    await asyncio.sleep(started + count / self._rate - time.monotonic())

    def _chunks(self, page: Sequence[Kept]) -> Iterator[Sequence[Kept]]:
        """A second's letters each, or the page."""
        size = max(1, int(self._rate)) if self._rate else len(page)
        return (page[start : start + size] for start in range(0, len(page), size))

    async def _publish(self, letters: Sequence[Kept]) -> None:
        for (exchange, routing_key), each in groupby(sorted(letters, key=_address), key=_address):
            alike = list(each)
            async with Publisher(self._url, "gcc-ingest dead-letters replay", exchange) as publisher:
                bodies = [letter.body for letter in alike]
                await publisher.publish(routing_key, bodies, [self._past(letter).told() for letter in alike])

    def _past(self, letter: Kept) -> Past:
        return Past(letter.attempts, letter.first_rejected_at, str(self.id), letter.letter_id)


def _address(letter: Kept) -> Address:
    return letter.original_exchange, letter.original_routing_key
