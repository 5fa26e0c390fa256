"""Where every message is in the end, counted at the servers."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from ingest_service.archive.records import read
from ingest_service.broker.connection import connected
from ingest_service.events.registry import EVENT_TYPES
from tests.chaos.field import Field
from tests.chaos.publishing import TYPES, Publishing
from tests.harness.running import eventually


@dataclass(frozen=True)
class Account:
    """All messages so far, of all types."""

    published: int
    confirmed: int
    landed: int
    dead_lettered: int
    """Letters as the archive tells them apart, by their ids."""
    lost: int
    """Confirmed, and neither in the table nor in the error queue; of messages with the same body, those without a
    letter of their own."""
    duplicated: int
    """More than once in the table, de-duplicated as readers do."""
    letters_doubled: int
    """More letters than messages with that body were sent, where the body has an event_id."""
    letters_unnamed: int
    """The same where it has none: the broker's sending a message again cannot be told from another message."""
    letters_again: int
    """The same letter in the error queue more than once: the archive keeps it once."""
    wrong: int
    """A good event among the dead letters, a bad one in the table, what nobody has sent, or a row without the time at
    which it arrived: no refresh would hear of it."""
    ledger_gap: int
    """Rows by which the ledger and the tables differ more than redeliveries explain."""


_LOOKS = 6
"""So many times in a row nothing must be on its way: a quorum queue that is busy counts 0 messages for want of time."""


def drained(field: Field, seconds: float = 90) -> None:
    """Wait until nothing is on its way."""
    looks = 0

    def is_drained_for_good() -> bool:
        nonlocal looks
        looks = looks + 1 if _is_drained(field) else 0
        return looks >= _LOOKS

    try:
        eventually(is_drained_for_good, seconds, "drained")
    except AssertionError as error:
        error.add_note(f"/ready: {field.service.get('/ready')}; the log: {field.service.log.read_text()[-3000:]}")
        raise


def _is_drained(field: Field) -> bool:
    if field.service.get("/ready")[0] != 200:
        return False
    statuses = [field.service.status(name) for name in TYPES]
    for status in statuses:
        settled = status["landed"] + sum(status["dead_lettered"].values())
        assert status["received"] == settled + status["given_back"] + status["in_flight"], status
    if any(status["in_flight"] for status in statuses):
        return False
    return asyncio.run(_waiting(field)) == 0


async def _waiting(field: Field) -> int:
    async with connected(field.environment["AMQP_URL"], "chaos") as connection, connection.channel() as channel:
        depths = [
            (await channel.declare_queue(EVENT_TYPES[name].queue, passive=True)).declaration_result.message_count or 0
            for name in TYPES
        ]
        return sum(depths)


class Accounting:
    """Keeps the dead letters that it takes out of the error queues."""

    def __init__(self, field: Field, publishing: Publishing) -> None:
        self._field = field
        self._publishing = publishing
        self._letters: dict[str, dict[bytes, Counter[UUID]]] = {name: defaultdict(Counter) for name in TYPES}
        """By type and body, how often each letter was in the error queue."""

    def account(self) -> Account:
        """Where everything is; the field must be drained and nobody publish."""
        asyncio.run(self._collect())
        published, confirmed = self._publishing.published, self._publishing.confirmed
        parts = [self._of_type(name) for name in TYPES]
        return Account(len(published), len(confirmed), *(sum(figures) for figures in zip(*parts, strict=True)))

    def _of_type(self, name: str) -> Sequence[int]:
        """Account's figures of one type, from `landed` on."""
        ids = self._field.sql(f"SELECT toString(event_id) FROM {EVENT_TYPES[name].table} FINAL").split()
        there = set(ids)
        letters = Counter({body: len(known) for body, known in self._letters[name].items()})
        published, confirmed = self._publishing.published, self._publishing.confirmed
        doubled = letters - published.bad[name]
        wrong = sum(count for body, count in doubled.items() if body not in published.bad[name])
        unnamed = sum(count for body, count in doubled.items() if not _names_its_event(body))
        return (
            len(there),
            letters.total(),
            len(confirmed.good[name] - there) + (confirmed.bad[name] - letters).total(),
            len(ids) - len(there),
            doubled.total() - unnamed - wrong,
            unnamed,
            sum(known.total() - len(known) for known in self._letters[name].values()),
            len(there - published.good[name]) + wrong + self._unseen(name),
            self._ledger_gap(name, len(there)),
        )

    def _unseen(self, name: str) -> int:
        """Rows of which no refresh hears, because it takes what has arrived since the one before."""
        table = EVENT_TYPES[name].table
        return int(self._field.sql(f"SELECT count() FROM {table} WHERE insert_timestamp < now() - INTERVAL 1 DAY"))

    def _ledger_gap(self, name: str, landed: int) -> int:
        rows, again = map(
            int,
            self._field.sql(f"SELECT sum(rows), sum(redelivered) FROM _e.ingest_batches WHERE type = '{name}'").split(),
        )
        return max(0, landed - rows, rows - again - landed)

    async def _collect(self) -> None:
        url = self._field.environment["AMQP_URL"]
        async with connected(url, "chaos") as connection, connection.channel() as channel:
            for name in TYPES:
                event_type = EVENT_TYPES[name]
                queue = await channel.get_queue(event_type.error_queue, ensure=False)
                while (message := await queue.get(fail=False)) is not None:
                    letter = read(event_type, message.body, message.headers, datetime.now(UTC))
                    self._letters[name][message.body][letter.letter_id] += 1
                    await message.ack()


def _names_its_event(body: bytes) -> bool:
    """Whether a body can be told from every other by the event_id in it."""
    try:
        return "event_id" in json.loads(body)
    except ValueError:
        return False
