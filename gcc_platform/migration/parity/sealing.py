"""Seals chunks: a chunk whose checksum is the same in both engines is not read again in PostgreSQL.

PostgreSQL made a checksum of each row as it sent it. ClickHouse makes its own of what it has stored, of many chunks in
one pass. With the sum stored, ClickHouse is verified against it at any time without PostgreSQL: some chunks each night.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from gcc_platform.migration import checksum, identity
from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse

Params = Sequence[Any] | Mapping[str, Any]

_NIGHTS = 7
"""Within as many rounds each sealed chunk is verified."""
_MOST_CHUNKS = 500


@dataclass(frozen=True)
class Sum:
    """The rows of a chunk and the sum of their checksums."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class DoneChunk:
    """A chunk whose rows ClickHouse has confirmed, with what they should be."""

    first_id: int
    last_id: int
    expected: Sum
    earliest: datetime | None
    """Times of the first and of the last event; None if there are none."""
    latest: datetime | None


@dataclass(frozen=True)
class Sealed:
    """What a round of sealing or of verifying found."""

    equal: Sequence[DoneChunk]
    different: Sequence[DoneChunk]


async def seal(state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database) -> Sealed:
    """Compare the chunks that are done and not sealed, and seal those that are equal. Raises ClickHouseUnavailable.

    Of chunks that never were sealed, ClickHouse reads the months only: a copy of a row with a time of another month
    shows when they are verified, and from then on.
    """
    first, later = [
        await _compare(clickhouse, table, database, await _unsealed(state, table, which), by_time=by_time)
        for which, by_time in (("sealed_sum IS NULL", True), ("sealed_sum IS NOT NULL", False))
    ]
    found = Sealed([*first.equal, *later.equal], [*first.different, *later.different])
    async with state.cursor() as cursor:
        await cursor.executemany(
            """UPDATE migration.chunks SET sealed_sum = %s, sealed_at = now(), verified_at = now()
            WHERE legacy_table = %s AND first_id = %s AND state = 'done' AND copied_sum = %s""",
            [(each.expected.checksum, table.name, each.first_id, each.expected.checksum) for each in found.equal],
        )
    return found


async def verify(
    state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database, *, every_chunk: bool = False
) -> Sealed:
    """Compare sealed chunks with what ClickHouse has now, at any time, and break the seals of those that differ.

    A seventh of them, those that were verified longest ago; or all. Raises ClickHouseUnavailable.
    """
    sealed = "legacy_table = %(table)s AND state = 'done' AND sealed_at IS NOT NULL"
    query = f"""SELECT first_id, last_id, rows_written, sealed_sum, min_timestamp, max_timestamp FROM migration.chunks
        WHERE {sealed} ORDER BY verified_at, first_id
        LIMIT (SELECT (count(*) + %(nights)s - 1) / %(nights)s FROM migration.chunks WHERE {sealed})"""
    nights = 1 if every_chunk else _NIGHTS
    chunks = await _chunks(state, query, {"table": table.name, "nights": nights})
    found = await _compare(clickhouse, table, database, chunks, by_time=False)
    await state.execute(
        """UPDATE migration.chunks SET verified_at = now(), sealed_at = CASE WHEN first_id = ANY(%s) THEN NULL
            ELSE sealed_at END WHERE legacy_table = %s AND first_id = ANY(%s)""",
        [[each.first_id for each in found.different], table.name, [each.first_id for each in chunks]],
    )
    return found


async def expect_what_is_stored(
    state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database, chunk: DoneChunk
) -> None:
    """Expect of a chunk the rows that ClickHouse has: its differences were accepted. Raises ClickHouseUnavailable."""
    stored = await distinct_sum(clickhouse, table, database, chunk, by_time=False)
    await state.execute(
        """UPDATE migration.chunks SET rows_written = %s, copied_sum = %s
        WHERE legacy_table = %s AND first_id = %s""",
        [stored.rows, stored.checksum, table.name, chunk.first_id],
    )


async def count_sealed(state: Connection, table: LegacyTable) -> int:
    """How many chunks are sealed. Raises psycopg.Error."""
    found = await state.execute("SELECT count(sealed_at) FROM migration.chunks WHERE legacy_table = %s", [table.name])
    row = await found.fetchone()
    assert row is not None
    return int(row[0])


async def distinct_sum(
    clickhouse: ClickHouse, table: LegacyTable, database: Database, chunk: DoneChunk, *, by_time: bool
) -> Sum:
    """What ClickHouse has of a chunk, copies of a row once. Raises ClickHouseUnavailable."""
    where, parameters = within(table, database, chunk.first_id, chunk.last_id)
    if by_time:
        where, parameters = _at_times(where, parameters, [chunk])
    [row] = await clickhouse.rows(
        f"""SELECT count() AS rows, toString(sum(h)) AS total FROM (
            SELECT any({checksum.in_clickhouse(table)}) AS h FROM {table.raw_table} WHERE {where}
            GROUP BY event_id, event_timestamp)""",
        parameters,
    )
    found = json.loads(row)
    return Sum(int(found["rows"]), int(found["total"]))


def within(table: LegacyTable, database: Database, first_id: int, last_id: int) -> tuple[str, dict[str, object]]:
    """In ClickHouse: the rows that were made from these ids of this old table, with the parameters.

    The range of event_ids comes first: it is cheap, and few rows of other tables are in it.
    """
    first, last = (Origin(table.number, database.number, each).event_id() for each in (first_id, last_id))
    where = "event_id BETWEEN {first:UUID} AND {last:UUID} AND startsWith(toString(event_id), {prefix:String})"
    prefix = identity.prefix(table.number, database.number)
    return where, {"first": str(first), "last": str(last), "prefix": prefix}


async def _unsealed(state: Connection, table: LegacyTable, which: str) -> Sequence[DoneChunk]:
    query = f"""SELECT first_id, last_id, rows_written, copied_sum, min_timestamp, max_timestamp FROM migration.chunks
        WHERE legacy_table = %s AND state = 'done' AND sealed_at IS NULL AND {which} ORDER BY first_id"""
    return await _chunks(state, query, [table.name])


async def _chunks(state: Connection, query: str, parameters: Params) -> Sequence[DoneChunk]:
    rows = await (await state.execute(query.encode(), parameters)).fetchall()
    return [
        DoneChunk(first, last, Sum(count, int(total)), earliest, latest)
        for first, last, count, total, earliest, latest in rows
    ]


async def _compare(
    clickhouse: ClickHouse, table: LegacyTable, database: Database, chunks: Sequence[DoneChunk], *, by_time: bool
) -> Sealed:
    equal: list[DoneChunk] = []
    different: list[DoneChunk] = []
    for neighbours in _runs(chunks):
        stored = await _sums(clickhouse, table, database, neighbours, by_time=by_time)
        for chunk in neighbours:
            same = stored.get(chunk.first_id, Sum(0, 0)) == chunk.expected
            # Copies that are not merged yet are counted twice.
            if not same:
                once = await distinct_sum(clickhouse, table, database, chunk, by_time=by_time)
                same = once == chunk.expected
            (equal if same else different).append(chunk)
    return Sealed(equal, different)


def _runs(chunks: Sequence[DoneChunk]) -> Iterator[Sequence[DoneChunk]]:
    """Chunks that follow each other, in their order; a number of them that one query can name."""
    run: list[DoneChunk] = []
    for chunk in sorted(chunks, key=attrgetter("first_id")):
        if run and (chunk.first_id != run[-1].last_id + 1 or len(run) == _MOST_CHUNKS):
            yield run
            run = []
        run.append(chunk)
    if run:
        yield run


async def _sums(
    clickhouse: ClickHouse, table: LegacyTable, database: Database, chunks: Sequence[DoneChunk], *, by_time: bool
) -> Mapping[int, Sum]:
    """What ClickHouse has of chunks that follow each other, in one pass, by their first ids."""
    where, parameters = within(table, database, chunks[0].first_id, chunks[-1].last_id)
    if by_time:
        where, parameters = _at_times(where, parameters, chunks)
    rows = await clickhouse.rows(
        f"""SELECT roundDown({identity.ID_OF_ROW}, {{firsts:Array(UInt64)}}) AS chunk, count() AS rows,
            toString(sum({checksum.in_clickhouse(table)})) AS total
        FROM {table.raw_table} WHERE {where} GROUP BY chunk""",
        parameters | {"firsts": [chunk.first_id for chunk in chunks]},
    )
    found = [json.loads(row) for row in rows]
    return {int(each["chunk"]): Sum(int(each["rows"]), int(each["total"])) for each in found}


def _at_times(where: str, parameters: dict[str, object], chunks: Sequence[DoneChunk]) -> tuple[str, dict[str, object]]:
    """The same in the months of the chunks' events."""
    earliest = [chunk.earliest for chunk in chunks if chunk.earliest]
    latest = [chunk.latest for chunk in chunks if chunk.latest]
    if not earliest or not latest:
        return where, parameters
    months = "toYYYYMM(event_timestamp) BETWEEN {earliest:UInt32} AND {latest:UInt32}"
    return f"{months} AND {where}", parameters | {
        "earliest": int(min(earliest).strftime("%Y%m")),
        "latest": int(max(latest).strftime("%Y%m")),
    }
