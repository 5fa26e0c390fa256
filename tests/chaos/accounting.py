"""Where every message is in the end, counted at the servers."""

import asyncio
from dataclasses import dataclass

from ingest_service.broker.connection import connected
from ingest_service.events.registry import EVENT_TYPES
from tests.chaos.field import Field
from tests.chaos.publishing import TYPES, Publishing
from tests.ingest_service.running import eventually


@dataclass(frozen=True)
class Account:
    """All messages so far, of all types."""

    published: int
    confirmed: int
    landed: int
    dead_lettered: int
    lost: int
    """Confirmed, and neither in the table nor in the error queue."""
    duplicated: int
    """More than once in the table, de-duplicated as readers do; or in both places."""
    wrong: int
    """A good event among the dead letters, a bad one in the table, or what nobody has sent."""
    ledger_gap: int
    """Rows by which the ledger and the tables differ more than redeliveries explain."""


def drained(field: Field) -> None:
    """Wait until nothing is on its way."""
    try:
        eventually(lambda: _is_drained(field), 90, "drained")
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
        self._dead: dict[str, set[bytes]] = {name: set() for name in TYPES}

    def account(self) -> Account:
        """Where everything is; the field must be drained and nobody publish."""
        asyncio.run(self._collect())
        published, confirmed = self._publishing.published, self._publishing.confirmed
        landed = lost = duplicated = wrong = gap = 0
        for name in TYPES:
            ids = self._field.sql(f"SELECT toString(event_id) FROM {EVENT_TYPES[name].table} FINAL").split()
            there, dead = set(ids), self._dead[name]
            good, bad = published.good[name], published.bad[name]
            landed += len(there)
            lost += len(confirmed.good[name] - there) + len(confirmed.bad[name] - dead)
            duplicated += len(ids) - len(there)
            wrong += len(there - good) + len(dead - bad)
            gap += self._ledger_gap(name, len(there))
        dead_lettered = sum(map(len, self._dead.values()))
        return Account(len(published), len(confirmed), landed, dead_lettered, lost, duplicated, wrong, gap)

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
                queue = await channel.get_queue(EVENT_TYPES[name].error_queue, ensure=False)
                while (message := await queue.get(fail=False)) is not None:
                    self._dead[name].add(message.body)
                    await message.ack()
