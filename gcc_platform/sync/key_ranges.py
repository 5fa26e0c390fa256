"""The key ranges of a served table: deletes are searched in a few of them, and each sync compares one of them.

A range is all rows from its lower bound up to the next one's. Both servers find it by the index on the grain, because
both sort it alike: text by its bytes, numbers and dates by value. A mart with another grain has one range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import LiteralString

import psycopg
from psycopg import sql

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync.column_types.columns import Column
from gcc_platform.sync.marts import Mart

MOST = 24
"""The ranges of a large mart: with one of them compared in each refresh, all of it is every six hours."""
LEAST_ROWS = 20_000
"""Of a range: a smaller table has fewer of them."""

_SORTED_ALIKE = {"text", "smallint", "integer", "bigint", "numeric(20,0)", "date"}
_BYTEWISE = {"C", "POSIX", "C.UTF-8", "C.utf8"}


@dataclass(frozen=True)
class KeyRange:
    """One range."""

    number: int
    lower: tuple[str, ...]
    """Its bound, as text of the columns of the grain; empty for the first range."""
    rows: int
    hash: str = ""
    """The sum of hash_record_extended of its rows, when they were last compared; empty if they never were."""
    compared_with: str = ""
    """What the mart's table in ClickHouse was then (Table.contents); empty if that was not known."""


@dataclass(frozen=True)
class KeyRanges:
    """All ranges of a table, which cover it."""

    columns: Sequence[Column]
    """The columns of the grain, by which they are bounded; none if there is one range."""
    ranges: Sequence[KeyRange]
    is_bytewise: bool = True
    """Whether PostgreSQL sorts text by its bytes. If not, comparisons say so, and no index serves them."""

    def number_of(self, alias: str) -> sql.Composable:
        """SQL for PostgreSQL: the number of the range of a row."""
        cases = [
            sql.SQL("WHEN {} THEN {}").format(self._compared(each, ">=", alias), sql.Literal(each.number))
            for each in reversed(self.ranges)
            if each.lower
        ]
        if not cases:
            return sql.SQL("0")
        return sql.SQL("CASE {} ELSE 0 END").format(sql.SQL(" ").join(cases))

    def in_postgres(self, number: int, alias: str) -> sql.Composable:
        """SQL for PostgreSQL: whether a row is in a range."""
        conditions = []
        if self.ranges[number].lower:
            conditions.append(self._compared(self.ranges[number], ">=", alias))
        if number + 1 < len(self.ranges):
            # Not NOT (... >= ...): the index would be read to its end.
            conditions.append(self._compared(self.ranges[number + 1], "<", alias))
        return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")

    def in_clickhouse(self, number: int) -> str:
        """The same for ClickHouse."""
        conditions = []
        if self.ranges[number].lower:
            conditions.append(f"{self._key} >= {self._bound(self.ranges[number])}")
        if number + 1 < len(self.ranges):
            conditions.append(f"{self._key} < {self._bound(self.ranges[number + 1])}")
        return " AND ".join(conditions) or "1"

    def number_in_clickhouse(self) -> str:
        """SQL for ClickHouse: the number of the range of a row."""
        later = (f"({self._key} >= {self._bound(each)})" for each in self.ranges if each.lower)
        return " + ".join(later) or "0"

    def with_rows(self, inserted: Mapping[int, int]) -> "KeyRanges":
        """The ranges after rows were inserted, or deleted: then the number is negative."""
        return replace(
            self, ranges=[replace(each, rows=each.rows + inserted.get(each.number, 0)) for each in self.ranges]
        )

    def with_hashes(self, hashes: Mapping[int, str]) -> "KeyRanges":
        """The ranges with these hashes; the others keep theirs."""
        return replace(self, ranges=[replace(each, hash=hashes.get(each.number, each.hash)) for each in self.ranges])

    def _compared(self, each: KeyRange, operator: LiteralString, alias: str) -> sql.Composed:
        # A comparison of rows, which an index on these columns serves.
        return sql.SQL("(({}) " + operator + " ({}))").format(
            sql.SQL(", ").join(self._collated(column, alias) for column in self.columns),
            sql.SQL(", ").join(
                sql.SQL("{}::" + column.postgres_type).format(sql.Literal(value))
                for column, value in zip(self.columns, each.lower, strict=True)
            ),
        )

    def _collated(self, column: Column, alias: str) -> sql.Composable:
        collation = "" if self.is_bytewise or column.postgres_type != "text" else ' COLLATE "C"'
        return sql.SQL("{}" + collation).format(sql.Identifier(alias, column.name))

    @property
    def _key(self) -> str:
        return f"({', '.join(quoted(column.name) for column in self.columns)})"

    def _bound(self, each: KeyRange) -> str:
        values = zip(self.columns, each.lower, strict=True)
        return f"({', '.join(_literal(column, value) for column, value in values)})"


def bounding(mart: Mart, columns: Sequence[Column]) -> Sequence[Column]:
    """The columns by which a mart's ranges are bounded: its grain, if both servers sort it alike; else none."""
    by_name = {column.name: column for column in columns}
    grain = [by_name[name] for name in mart.grain]
    return grain if all(map(_is_sorted_alike, grain)) else []


def _is_sorted_alike(column: Column) -> bool:
    return column.postgres_type in _SORTED_ALIKE and "Enum" not in column.clickhouse_type


def _literal(column: Column, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"CAST('{escaped}', '{column.clickhouse_type}')"


_CREATE = """
CREATE TABLE serving_data.key_ranges (
    table_name text NOT NULL,
    number integer NOT NULL,
    columns text[] NOT NULL,
    lower_bound text[] NOT NULL,
    rows bigint NOT NULL,
    hash text NOT NULL,
    compared_with text NOT NULL DEFAULT '',
    PRIMARY KEY (table_name, number)
)
"""

_HAS_COMPARED_WITH = """
SELECT FROM pg_attribute WHERE attrelid = 'serving_data.key_ranges'::regclass AND attname = 'compared_with'
"""
_ADD_COMPARED_WITH = """
ALTER TABLE serving_data.key_ranges ADD COLUMN IF NOT EXISTS compared_with text NOT NULL DEFAULT ''
"""


def create(postgres: psycopg.Connection) -> None:
    """Create the table of ranges if it is missing, or add the column that it had not at first."""
    if postgres.execute("SELECT to_regclass('serving_data.key_ranges')").fetchone() == (None,):
        postgres.execute(_CREATE)
    elif not postgres.execute(_HAS_COMPARED_WITH).rowcount:
        postgres.execute(_ADD_COMPARED_WITH)


def read(postgres: psycopg.Connection, table: str, columns: Sequence[Column]) -> KeyRanges:
    """The ranges of a table, of which there are some. Raises LookupError if there are none."""
    rows = postgres.execute(
        "SELECT columns, number, lower_bound, rows, hash, compared_with FROM serving_data.key_ranges "
        "WHERE table_name = %s "
        "ORDER BY number",
        (table,),
    ).fetchall()
    if not rows:
        raise LookupError(f"serving_data.{table} has no key ranges")
    by_name = {column.name: column for column in columns}
    return KeyRanges(
        [by_name[name] for name in rows[0][0]],
        [KeyRange(number, tuple(lower), *known) for _, number, lower, *known in rows],
        is_bytewise(postgres),
    )


def is_bytewise(postgres: psycopg.Connection) -> bool:
    """Whether the database sorts text by its bytes, as ClickHouse does."""
    row = postgres.execute(
        "SELECT datlocprovider::text, coalesce(to_jsonb(pg_database) ->> 'datlocale', datcollate) FROM pg_database "
        "WHERE datname = current_database()"
    ).fetchone()
    return row is not None and row[0] != "i" and row[1] in _BYTEWISE


def record(postgres: psycopg.Connection, table: str, ranges: KeyRanges) -> None:
    """Replace the ranges of a table, in the transaction that writes its rows."""
    postgres.execute("DELETE FROM serving_data.key_ranges WHERE table_name = %s", (table,))
    names = [column.name for column in ranges.columns]
    with postgres.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO serving_data.key_ranges "
            "(table_name, number, columns, lower_bound, rows, hash, compared_with) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (table, each.number, names, list(each.lower), each.rows, each.hash, each.compared_with)
                for each in ranges.ranges
            ],
        )


def record_comparison(postgres: psycopg.Connection, table: str, compared: KeyRange) -> None:
    """Record that a range was compared: what it was then, and what the mart's table was."""
    postgres.execute(
        "UPDATE serving_data.key_ranges SET hash = %s, compared_with = %s WHERE table_name = %s AND number = %s",
        (compared.hash, compared.compared_with, table, compared.number),
    )
