"""Seals chunks: a chunk whose checksum is the same in both engines is not read again in PostgreSQL.

PostgreSQL made a checksum of each row as it sent it. ClickHouse makes its own of what it has stored, of all chunks in
one pass. With the sum stored, ClickHouse is verified against it at any time without PostgreSQL.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.migration import checksum, identity
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse


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


@dataclass(frozen=True)
class Sealed:
    """What a round of sealing or of verifying found."""

    equal: Sequence[DoneChunk]
    different: Sequence[DoneChunk]


async def seal(state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database) -> Sealed:
    """Compare the chunks that are done and not sealed, and seal those that are equal. Raises ClickHouseUnavailable."""
    found = await _compare(state, clickhouse, table, database, "sealed_at IS NULL", "copied_sum")
    async with state.cursor() as cursor:
        await cursor.executemany(
            """UPDATE migration.chunks SET sealed_sum = %s, sealed_at = now()
            WHERE legacy_table = %s AND first_id = %s AND state = 'done' AND copied_sum = %s""",
            [(each.expected.checksum, table.name, each.first_id, each.expected.checksum) for each in found.equal],
        )
    return found


async def verify(state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database) -> Sealed:
    """Compare the sealed chunks with what ClickHouse has now, and break the seals of those that differ.

    Raises ClickHouseUnavailable.
    """
    found = await _compare(state, clickhouse, table, database, "sealed_at IS NOT NULL", "sealed_sum")
    await state.execute(
        "UPDATE migration.chunks SET sealed_at = NULL WHERE legacy_table = %s AND first_id = ANY(%s)",
        [table.name, [each.first_id for each in found.different]],
    )
    return found


async def _compare(
    state: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database, which: str, column: str
) -> Sealed:
    query = f"""SELECT first_id, last_id, rows_written, {column} FROM migration.chunks
        WHERE legacy_table = %s AND state = 'done' AND {which} ORDER BY first_id"""
    rows = await (await state.execute(query.encode(), [table.name])).fetchall()
    chunks = [DoneChunk(first, last, Sum(count, int(total))) for first, last, count, total in rows]
    if not chunks:
        return Sealed((), ())
    width = await _width(state, table)
    stored = await _sums(clickhouse, table, database, chunks, width)
    equal, different = [], []
    for chunk in chunks:
        same = stored.get(chunk.first_id, Sum(0, 0)) == chunk.expected
        # Copies that are not merged yet are counted twice.
        if same or await distinct_sum(clickhouse, table, database, chunk.first_id, chunk.last_id) == chunk.expected:
            equal.append(chunk)
        else:
            different.append(chunk)
    return Sealed(equal, different)


async def _width(state: Connection, table: LegacyTable) -> tuple[int, int]:
    """The first id of all chunks, and how many ids each but the last has."""
    found = await state.execute(
        """SELECT first_id, last_id - first_id + 1 FROM migration.chunks
        WHERE legacy_table = %s ORDER BY first_id LIMIT 1""",
        [table.name],
    )
    row = await found.fetchone()
    assert row is not None
    return row[0], row[1]


async def _sums(
    clickhouse: ClickHouse, table: LegacyTable, database: Database, chunks: Sequence[DoneChunk], width: tuple[int, int]
) -> Mapping[int, Sum]:
    """What ClickHouse has of each chunk, in one pass, by its first id."""
    first, ids = width
    rows = await clickhouse.rows(
        f"""SELECT {{first:UInt64}} + intDiv({identity.ID_OF_ROW} - {{first:UInt64}}, {{ids:UInt64}}) * {{ids:UInt64}}
            AS chunk, count() AS rows, toString(sum({checksum.in_clickhouse(table)})) AS total
        FROM {table.raw_table} WHERE {ours(table, database)}
            AND {identity.ID_OF_ROW} BETWEEN {{low:UInt64}} AND {{high:UInt64}}
        GROUP BY chunk""",
        {"first": first, "ids": ids, "low": chunks[0].first_id, "high": chunks[-1].last_id},
    )
    found = [json.loads(row) for row in rows]
    return {int(each["chunk"]): Sum(int(each["rows"]), int(each["total"])) for each in found}


async def distinct_sum(
    clickhouse: ClickHouse, table: LegacyTable, database: Database, first_id: int, last_id: int
) -> Sum:
    """What ClickHouse has of a range of ids, copies of a row once. Raises ClickHouseUnavailable."""
    [row] = await clickhouse.rows(
        f"""SELECT count() AS rows, toString(sum(h)) AS total FROM (
            SELECT any({checksum.in_clickhouse(table)}) AS h FROM {table.raw_table}
            WHERE {ours(table, database)} AND {identity.ID_OF_ROW} BETWEEN {{low:UInt64}} AND {{high:UInt64}}
            GROUP BY event_id, event_timestamp)""",
        {"low": first_id, "high": last_id},
    )
    found = json.loads(row)
    return Sum(int(found["rows"]), int(found["total"]))


def ours(table: LegacyTable, database: Database) -> str:
    """In ClickHouse: the rows that were made from this old table."""
    return f"startsWith(toString(event_id), '{identity.prefix(table.number, database.number)}')"
