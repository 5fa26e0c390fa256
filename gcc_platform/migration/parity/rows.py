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
from gcc_platform.migration.parity import deep_reading, differences, dual_rows, looks, sealing, tail_chunks
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.sealing import DoneChunk
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.rejected import SENT, resolve_sent
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


async def check(state: Connection, sides: Sides, *, deep: bool = False, everything: bool = False) -> Checked:
    """Verify a seventh of the sealed chunks in ClickHouse, seal new ones, and note each row that differs.

    `deep`: PostgreSQL reads all rows again, and so finds what was changed or deleted there since they were copied; but
    not if it has counted no such rows since the last time. `everything`: all chunks, whatever is known of them. Raises
    psycopg.Error and ClickHouseUnavailable.
    """
    table, database = sides.table, sides.database
    await tail_chunks.add(state, sides)
    if deep:
        await deep_reading.expect_all_that_is_there(state, sides, in_any_case=everything)
    await sealing.verify(state, sides.clickhouse, table, database, every_chunk=everything)
    fresh = await sealing.seal(state, sides.clickhouse, table, database)
    for chunk in fresh.equal:
        await differences.resolve_chunk(state, table, *_ends(sides, chunk))
    count, still = 0, fresh.different
    for chunk in fresh.different:
        found = await sides.differences(chunk)
        await differences.resolve_chunk(state, table, *_ends(sides, chunk))
        unaccepted = await differences.note(state, table, found)
        count += len(unaccepted)
        if not found:  # both sides have changed alike: rows were completed, or repaired
            await deep_reading.expect(state, sides, chunk.first_id, chunk.last_id)
        elif not unaccepted:
            await sealing.expect_what_is_stored(state, sides.clickhouse, table, database, chunk)
    if still:
        still = (await sealing.seal(state, sides.clickhouse, table, database)).different
    return Checked(await sealing.count_sealed(state, table), len(still), count)


async def check_series(state: Connection, sides: Sides) -> Checked:
    """The same of a table of series, whose log may have been pruned since: only ClickHouse is read.

    What differs is brought again by the next backfill. Raises psycopg.Error and ClickHouseUnavailable.
    """
    await sealing.verify(state, sides.clickhouse, sides.table, sides.database)
    fresh = await sealing.seal(state, sides.clickhouse, sides.table, sides.database)
    await state.execute(
        "UPDATE migration.chunks SET state = 'planned' WHERE legacy_table = %s AND first_id = ANY(%s)",
        [sides.table.name, [chunk.first_id for chunk in fresh.different]],
    )
    return Checked(await sealing.count_sealed(state, sides.table), len(fresh.different), 0)


async def check_day(state: Connection, sides: Sides, day: date, spooled: Sequence[str]) -> Day:
    """Compare the rows that crawlers wrote to both sides on a day, and note each that differs, with its cause.

    Those that were accepted are not among the found ones. `spooled` are event_ids that wait in crawlers' spools. Raises
    psycopg.Error, InsertFailed and ClickHouseUnavailable.
    """
    found = await dual_rows.compare(sides, day, spooled, await looks.first_id_of(state, sides.table, day))
    await differences.resolve_day(state, sides.table, day)
    return Day(found.rows, await differences.note(state, sides.table, found.differences, day))


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
    await differences.resolve(state, table, missing, SENT)
    await resolve_sent(state, table, rows.ids)
    return len(rows.lines)


def _ends(sides: Sides, chunk: DoneChunk) -> tuple[UUID, UUID]:
    """The event_ids of a chunk's first and last id."""
    table, database = sides.table.number, sides.database.number
    return Origin(table, database, chunk.first_id).event_id(), Origin(table, database, chunk.last_id).event_id()
