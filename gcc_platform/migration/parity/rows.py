"""Parity of rows: chunks are sealed or taken apart, and what differs is noted, repaired and sealed again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from gcc_platform.migration.copied_rows import Pace, copy_rows
from gcc_platform.migration.identity import Origin, origin
from gcc_platform.migration.landing import land
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.parity import differences, dual_rows, sealing
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.sealing import DoneChunk
from gcc_platform.migration.postgres import Connection
from ingest_service.backoff import Backoff

_RETRY = Backoff(first=0.5, most=30.0)


@dataclass(frozen=True)
class Checked:
    """What a check of one table found."""

    sealed: int
    """Chunks that are equal."""
    different: int
    """Chunks that are not."""
    differences: int
    """Rows that are not equal."""


async def check(state: Connection, sides: Sides, *, deep: bool = False) -> Checked:
    """Verify the sealed chunks in ClickHouse, seal new ones, and note each row that differs.

    `deep`: PostgreSQL reads all rows again, and so finds what was changed or deleted there since they were copied.
    Raises psycopg.Error and ClickHouseUnavailable.
    """
    table, database = sides.table, sides.database
    if deep:
        await _expect_all_that_is_there(state, sides)
    verified = await sealing.verify(state, sides.clickhouse, table, database)
    fresh = await sealing.seal(state, sides.clickhouse, table, database)
    for chunk in fresh.equal:
        await differences.resolve_chunk(state, table, *_ends(sides, chunk))
    count = different = 0
    for chunk in fresh.different:
        found = await sides.differences(chunk)
        await differences.resolve_chunk(state, table, *_ends(sides, chunk))
        await differences.record(state, table, found)
        count += len(found)
        different += bool(found)
        if not found:  # both sides have changed alike: rows were completed, or repaired
            await _expect_what_is_there(state, sides, chunk.first_id, chunk.last_id)
    if different < len(fresh.different):
        await sealing.seal(state, sides.clickhouse, table, database)
    return Checked(len(verified.equal) + len(fresh.equal) + len(fresh.different) - different, different, count)


async def check_series(state: Connection, sides: Sides) -> Checked:
    """The same of a table of series, whose log may have been pruned since: only ClickHouse is read.

    What differs is brought again by the next backfill. Raises psycopg.Error and ClickHouseUnavailable.
    """
    verified = await sealing.verify(state, sides.clickhouse, sides.table, sides.database)
    fresh = await sealing.seal(state, sides.clickhouse, sides.table, sides.database)
    await state.execute(
        "UPDATE migration.chunks SET state = 'planned' WHERE legacy_table = %s AND first_id = ANY(%s)",
        [sides.table.name, [chunk.first_id for chunk in fresh.different]],
    )
    return Checked(len(verified.equal) + len(fresh.equal), len(fresh.different), 0)


async def check_day(state: Connection, sides: Sides, day: date, spooled: Sequence[str]) -> Day:
    """Compare the rows that crawlers wrote to both sides on a day, and note each that differs, with its cause.

    `spooled` are event_ids that wait in crawlers' spools. Raises psycopg.Error, InsertFailed, ClickHouseUnavailable.
    """
    found = await dual_rows.compare(sides, day, spooled)
    await differences.resolve_day(state, sides.table, day)
    await differences.record(state, sides.table, found.differences, day)
    return found


async def repair(state: Connection, sides: Sides) -> int:
    """Bring the rows that only PostgreSQL has, each under its own event_id; how many there still were.

    An event that comes late after all has the same key, and collapses with its row. Raises psycopg.Error and
    InsertFailed.
    """
    old, table, database = sides.old, sides.table, sides.database
    missing = await differences.missing_in_clickhouse(state, table)
    made = [found.id for found in map(origin, missing) if found]
    has_column = await has_event_id(old, table)
    where = "r.id = ANY(%(ids)s)" + (" OR r.event_id = ANY(%(event_ids)s)" if has_column else "")
    rows = await copy_rows(
        old, table, database, where, {"ids": made, "event_ids": list(missing)}, Pace(), has_event_id=has_column
    )
    await land(sides.clickhouse, table, rows.lines, f"repair/{table.name}/{time.time_ns()}", _RETRY)
    await differences.resolve(state, table, missing, "sent from PostgreSQL")
    return len(rows.lines)


async def _expect_all_that_is_there(state: Connection, sides: Sides) -> None:
    """Expect of each chunk the rows that PostgreSQL has now."""
    rows = await state.execute(
        "SELECT first_id, last_id FROM migration.chunks WHERE legacy_table = %s AND state = 'done' ORDER BY first_id",
        [sides.table.name],
    )
    for first_id, last_id in await rows.fetchall():
        await _expect_what_is_there(state, sides, first_id, last_id)


async def _expect_what_is_there(state: Connection, sides: Sides, first_id: int, last_id: int) -> None:
    """Expect of a chunk the rows that PostgreSQL has now, and break its seal."""
    now = await sides.sum_in_postgres(first_id, last_id)
    await state.execute(
        """UPDATE migration.chunks SET rows_written = %s, copied_sum = %s, sealed_at = NULL
        WHERE legacy_table = %s AND first_id = %s""",
        [now.rows, now.checksum, sides.table.name, first_id],
    )


def _ends(sides: Sides, chunk: DoneChunk) -> tuple[UUID, UUID]:
    """The event_ids of a chunk's first and last id."""
    table, database = sides.table.number, sides.database.number
    return Origin(table, database, chunk.first_id).event_id(), Origin(table, database, chunk.last_id).event_id()
