"""Where one snapshot is: its row, its way to ClickHouse, and what was noted of it."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from gcc_platform.migration.identity import Origin, origin
from gcc_platform.migration.landing import BATCH_PREFIX
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection
from ingest_service.errors import UserError

_NEAR_SECONDS = 60
"""Between the times that one insert has in its rows and in the ledger, on a busy server."""


class NotASnapshot(UserError):
    """The text names neither an event_id nor a row of an old table."""


@dataclass(frozen=True)
class Snapshot:
    """What is asked for. An old row may have an event_id of its own: `event_id` is None until it was looked up."""

    table: str | None
    id: int | None
    event_id: UUID | None


@dataclass(frozen=True)
class Fact:
    """One thing that is known of it."""

    place: str
    text: str
    is_known: bool = True
    """False if the place has nothing of it."""


def parse(text: str, database: int) -> Snapshot:
    """An event_id, or TABLE:ID. Raises NotASnapshot."""
    table, found, row_id = text.partition(":")
    if found and table in LEGACY_TABLES and row_id.isdecimal():
        return Snapshot(table, int(row_id), None)
    try:
        event_id = UUID(text)
    except ValueError:
        tables = ", ".join(LEGACY_TABLES)
        raise NotASnapshot(f"{text!r} is neither an event_id nor TABLE:ID, with one of the tables {tables}") from None
    made = origin(event_id)
    if made is None:
        return Snapshot(None, None, event_id)
    names = [table.name for table in LEGACY_TABLES.values() if table.number == made.table]
    if not names or made.database != database:
        raise NotASnapshot(f"{event_id} was made from table {made.table} of another old database, {made.database}")
    return Snapshot(names[0], made.id, event_id)


async def explain(state: Connection, sides: Sides, snapshot: Snapshot) -> Sequence[Fact]:
    """All that is known of a snapshot in one table; nothing if that knows nothing of it.

    Raises psycopg.Error and ClickHouseUnavailable.
    """
    found = [fact async for fact in _explain(state, sides, snapshot)]
    return found if snapshot.table or any(fact.is_known for fact in found[1:]) else []


async def _explain(state: Connection, sides: Sides, snapshot: Snapshot) -> AsyncIterator[Fact]:
    table = sides.table
    row_id, event_id = await _identity(sides, snapshot)
    yield Fact("event_id", str(event_id))
    yield await _row(sides, row_id)
    if row_id is not None and origin(event_id) is None:
        yield Fact("tail and backfill", "leave it out: its crawler publishes the event")
    elif row_id is not None:
        async for fact in _way(state, table.name, row_id):
            yield fact
    async for fact in _landed(sides, event_id):
        yield fact
    noted = await state.execute(
        """SELECT concat_ws(': ', kind, cause, nullif(detail, '')), first_seen, last_seen, resolution
        FROM migration.differences WHERE legacy_table = %s AND event_id = %s""",
        [table.name, event_id],
    )
    for what, first, last, resolution in await noted.fetchall():
        state_ = f"resolved: {resolution}" if resolution else "open"
        yield Fact("difference", f"{what}; seen {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}; {state_}")
    unwritten = await state.execute(
        "SELECT reason FROM migration.unwritten WHERE legacy_table = %s AND event_id = %s", [table.name, event_id]
    )
    for (reason,) in await unwritten.fetchall():
        yield Fact("reverse writer", f"PostgreSQL refuses it: {reason}")


async def _identity(sides: Sides, snapshot: Snapshot) -> tuple[int | None, UUID]:
    """The old row's id, if there is one, and the event_id."""
    has_column = await has_event_id(sides.old, sides.table)
    if snapshot.id is not None:
        made = Origin(sides.table.number, sides.database.number, snapshot.id).event_id()
        if not has_column:
            return snapshot.id, made
        found = await sides.old.execute(
            f"SELECT event_id FROM {sides.table.name} WHERE id = %s".encode(), [snapshot.id]
        )
        row = await found.fetchone()
        return snapshot.id, row[0] if row and row[0] else made
    assert snapshot.event_id is not None
    if not has_column:
        return None, snapshot.event_id
    found = await sides.old.execute(
        f"SELECT id FROM {sides.table.name} WHERE event_id = %s".encode(), [snapshot.event_id]
    )
    row = await found.fetchone()
    return (row[0] if row else None), snapshot.event_id


async def _row(sides: Sides, row_id: int | None) -> Fact:
    place = f"row of {sides.table.name}"
    if row_id is None:
        return Fact(place, "none has this event_id", is_known=False)
    time = sides.table.time
    found = await sides.old.execute(f"SELECT {time} FROM {sides.table.name} WHERE id = %s".encode(), [row_id])
    row = await found.fetchone()
    return Fact(place, f"id {row_id}, {time} {row[0]}" if row else f"id {row_id} is not there, or not yet committed")


async def _way(state: Connection, table: str, row_id: int) -> AsyncIterator[Fact]:
    """How the row comes to ClickHouse."""
    by_table = {"table": table, "id": row_id}
    chunks = await state.execute(
        """SELECT first_id, last_id, state, attempts, finished_at, sealed_at, error FROM migration.chunks
        WHERE legacy_table = %(table)s AND %(id)s BETWEEN first_id AND last_id""",
        by_table,
    )
    for first, last, how, attempts, finished, sealed, error in await chunks.fetchall():
        seal = f", sealed {sealed:%Y-%m-%d %H:%M}" if sealed else ", not sealed"
        when = f" {finished:%Y-%m-%d %H:%M}" if finished else ""
        batch = f"{BATCH_PREFIX}backfill/{table}/{first}-{last}.{attempts}"
        yield Fact("chunk", f"{first} to {last}: {how}{when}{seal}, batch {batch}{f'; {error}' if error else ''}")
    tail = await state.execute(
        """SELECT next_id, EXISTS (SELECT FROM migration.gaps WHERE legacy_table = %(table)s
                AND %(id)s BETWEEN first_id AND last_id) FROM migration.tail
        WHERE legacy_table = %(table)s AND NOT EXISTS (SELECT FROM migration.chunks
            WHERE legacy_table = %(table)s AND %(id)s BETWEEN first_id AND last_id)""",
        by_table,
    )
    for next_id, is_gap in await tail.fetchall():
        passed = "in a gap that is looked for again" if is_gap else "taken, or no row had this id"
        yield Fact("tail", passed if row_id < next_id else f"not reached yet: the next id is {next_id}")
    rejected = await state.execute(
        "SELECT reason, resolution FROM migration.rejected WHERE legacy_table = %(table)s AND id = %(id)s", by_table
    )
    for reason, resolution in await rejected.fetchall():
        yield Fact("rejected", f"{reason}; {f'resolved: {resolution}' if resolution else 'open'}")


async def _batches(sides: Sides, event_timestamp: str, landed: str) -> AsyncIterator[Fact]:
    """The inserts of that time that may have brought it: the ledger has batches, and not rows."""
    found = await sides.clickhouse.column(
        f"""SELECT batch FROM _e.ingest_batches
        WHERE type = '{sides.table.event_type}'
            AND abs(dateDiff('second', landed_at, toDateTime64('{landed}', 3, 'UTC'))) < {_NEAR_SECONDS}
            AND toDateTime64('{event_timestamp}', 6, 'UTC') BETWEEN min_event_time AND max_event_time
        ORDER BY abs(dateDiff('millisecond', landed_at, toDateTime64('{landed}', 3, 'UTC'))) LIMIT 3"""
    )
    if found:
        yield Fact("ledger", f"batch {' or '.join(found)}")


async def _landed(sides: Sides, event_id: UUID) -> AsyncIterator[Fact]:
    """What ClickHouse has of it."""
    table = sides.table
    landed = await sides.clickhouse.rows(
        f"""SELECT toString(event_timestamp) AS at, count() AS copies, toString(min(insert_timestamp)) AS landed
        FROM {table.raw_table} WHERE event_id = {{id:UUID}} GROUP BY event_timestamp ORDER BY at""",
        {"id": event_id},
    )
    if not landed:
        yield Fact(table.raw_table, "has no row of it", is_known=False)
    for row in map(json.loads, landed):
        copies = "" if int(row["copies"]) == 1 else f", {row['copies']} copies that are not merged yet"
        yield Fact(table.raw_table, f"event_timestamp {row['at']}, landed {row['landed']}{copies}")
        if origin(event_id) is None:  # an old row's batch is its chunk's
            async for fact in _batches(sides, row["at"], row["landed"]):
                yield fact
    letters = await sides.clickhouse.rows(
        """SELECT letter_id, reason, detail, attempts FROM _e.dead_letter_events FINAL
        WHERE event_type = {type:String} AND toUUIDOrZero(JSONExtractString(body, 'event_id')) = {id:UUID}""",
        {"type": table.event_type, "id": event_id},
    )
    for letter in map(json.loads, letters):
        yield Fact("dead letter", f"{letter['letter_id']}: {letter['reason']}, {letter['detail']}")
