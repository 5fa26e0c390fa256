"""What ClickHouse has of a mart: enough to know what has changed since a sync, without reading the rows if possible.

Block numbers (`_block_number`) grow with every insert into a partition and stay with their rows through merges, if the
table has the settings enable_block_number_column and enable_block_offset_column. They show neither deletes, which the
number of rows does, nor ALTER TABLE ... UPDATE, which system.mutations does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.column_types.columns import Column
from gcc_platform.sync.marts import Mart

# A table's uuid changes when it is created again, its query when a column or its default changes, its parts when rows
# are inserted, deleted, changed or merged. A view, or a table whose rows are on other servers, has none. Rows are
# changed in place by mutations, but for those that only delete, and by patch parts, which the UPDATE statement makes.
_TABLE = """
SELECT
    concat(toString(tables.uuid), ':', toString(cityHash64(create_table_query))),
    (
        SELECT toString(sum(cityHash64(name, rows, hash_of_all_files))) FROM system.parts
        WHERE active AND database = {database:String} AND table = {table:String}
    ),
    match(engine_full, 'enable_block_number_column = (1|true)')
        AND match(engine_full, 'enable_block_offset_column = (1|true)'),
    (
        SELECT (maxIf(arrayMax(block_numbers.number), is_done), countIf(NOT is_done)) FROM system.mutations
        WHERE database = {database:String} AND table = {table:String}
          AND command NOT LIKE '%_row_exists%' AND command NOT LIKE '(DELETE WHERE%'
    ) AS mutations,
    (
        SELECT max(max_block_number) FROM system.parts
        WHERE active AND database = {database:String} AND table = {table:String} AND startsWith(partition_id, 'patch-')
    ),
    (
        SELECT toString(cityHash64(create_table_query)) FROM system.tables
        WHERE database = {database:String} AND name = {mart:String}
    )
FROM system.tables AS tables
WHERE database = {database:String} AND name = {table:String} AND engine LIKE '%MergeTree'
"""


@dataclass(frozen=True)
class Table:
    """The table behind a mart, as its metadata describes it."""

    uuid: str = ""
    """Of this table, as it is defined now."""
    parts: str = ""
    has_block_numbers: bool = False
    changed_in_place: int = 0
    """The number of the newest change of rows in place; such numbers grow."""
    is_changing: bool = False
    """Whether rows are being changed in place, or merged with such changes: then nothing is known of single rows."""

    mart_query: str = ""
    """The definition of the mart: of this table, or of a view over it."""

    @property
    def contents(self) -> str:
        """The same as long as the mart has the same rows; empty if that is not known."""
        return f"{self.uuid} {self.parts} {self.mart_query}" if self.parts else ""


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
    rows = clickhouse.rows(_TABLE, {"database": mart.database, "table": mart.table, "mart": mart.name})
    if not rows:
        return Table()
    [[uuid, parts, has_block_numbers, (mutation, running), patch, query]] = rows
    return Table(
        str(uuid),
        str(parts),
        bool(has_block_numbers),
        max(int(mutation), int(patch)),
        bool(running or patch),
        str(query),
    )


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
