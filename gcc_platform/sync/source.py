"""What ClickHouse has of a mart: enough to know what has changed since a sync, without reading the rows if possible.

Block numbers (`_block_number`) grow with every insert into a partition and stay with their rows through merges, if the
table has the settings enable_block_number_column and enable_block_offset_column. They show neither deletes, which the
number of rows does, nor ALTER TABLE ... UPDATE, which system.mutations does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.columns import Column
from gcc_platform.sync.marts import Mart

# A table's uuid changes when it is created again, the names of its parts when rows are inserted, deleted, changed or
# merged. A view, or a table whose rows are on other servers, has none.
_TABLE = """
SELECT
    toString(tables.uuid),
    (
        SELECT toString(sum(cityHash64(name, rows))) FROM system.parts
        WHERE active AND database = {database:String} AND table = {table:String}
    ),
    match(engine_full, 'enable_block_number_column = (1|true)')
        AND match(engine_full, 'enable_block_offset_column = (1|true)'),
    (
        SELECT max(arrayMax(block_numbers.number)) FROM system.mutations
        WHERE database = {database:String} AND table = {table:String}
          AND command LIKE '%UPDATE%' AND command NOT LIKE '%_row_exists%'
    )
FROM system.tables AS tables
WHERE database = {database:String} AND name = {table:String} AND engine LIKE '%MergeTree'
"""


@dataclass(frozen=True)
class Table:
    """The table behind a mart, as its metadata describes it."""

    uuid: str = ""
    parts: str = ""
    has_block_numbers: bool = False
    mutation: int = 0


@dataclass(frozen=True)
class Rows:
    """The rows of a mart at one time."""

    count: int
    watermarks: Mapping[str, int]
    """The greatest block number of each partition; empty without block numbers."""
    fingerprint: str = ""
    """The sum of a hash of each row; empty where the watermarks say enough."""


def table(clickhouse: ClickHouse, mart: Mart) -> Table:
    """The table of a mart; of a view an empty one."""
    rows = clickhouse.rows(_TABLE, {"database": mart.database, "table": mart.table})
    if not rows:
        return Table()
    [[uuid, parts, has_block_numbers, mutation]] = rows
    return Table(str(uuid), str(parts), bool(has_block_numbers), int(mutation or 0))


def rows(clickhouse: ClickHouse, mart: Mart, columns: Sequence[Column], found: Table) -> Rows:
    """The present rows: by block numbers (10 million rows a second), or hashed (3 million of 7 columns)."""
    if found.has_block_numbers:
        return _numbered(clickhouse, mart)
    listed = ", ".join(quoted(column.name) for column in columns)
    [[count, checksum]] = clickhouse.rows(
        f"SELECT count(), toString(sum(cityHash64(tuple({listed})))) FROM {mart.source}"  # noqa: S608  quoted
    )
    return Rows(int(count), {}, str(checksum))


def _numbered(clickhouse: ClickHouse, mart: Mart) -> Rows:
    found = clickhouse.rows(
        f"SELECT _partition_id, max(_block_number), count() FROM {mart.source} GROUP BY 1"  # noqa: S608  quoted
    )
    return Rows(sum(int(count) for _, _, count in found), {str(name): int(block) for name, block, _ in found})


def count(clickhouse: ClickHouse, mart: Mart, condition: str) -> int:
    """The rows of a mart's table that meet a condition."""
    [[found]] = clickhouse.rows(f"SELECT count() FROM {mart.source} WHERE {condition}")  # noqa: S608  ours
    return int(found)


def inserted_since(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """The condition of the rows that were inserted after one set of watermarks, up to another; empty if none were.

    The upper limit leaves what is inserted meanwhile to the next sync.
    """
    # Names of partitions and numbers are ClickHouse's own: letters, digits, hyphens.
    return " OR ".join(
        f"(_partition_id = '{name}' AND _block_number > {before.get(name, -1)} AND _block_number <= {block})"
        for name, block in sorted(now.items())
        if block > before.get(name, -1)
    )
