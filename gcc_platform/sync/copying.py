"""Copies the rows of a query from ClickHouse into a table of PostgreSQL: a stream, of which one chunk is in memory."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg import sql

from gcc_platform.sync.column_types.columns import Column


class RowSource(Protocol):
    """Where the rows come from: ClickHouse itself, or a stage between the servers."""

    def tab_separated(self, query: str) -> Iterator[bytes]:
        """The rows of a query as text that COPY reads. Raises UserError, also in the middle: nothing counts then."""


@dataclass(frozen=True)
class Sent:
    """What was sent, and arrived."""

    rows: int
    size: int
    """Bytes."""
    keys: Sequence[tuple[str, ...]] = ()
    """The values of the first columns of every n-th row, if they were asked for."""


def select(source: str, columns: Sequence[Column], condition: str = "", order: Sequence[str] = ()) -> str:
    """The query of the rows of a table that meet a condition, in an order. Names and conditions are quoted already."""
    listed = ", ".join(column.expression for column in columns)
    return (
        f"SELECT {listed} FROM {source}"  # noqa: S608  names are quoted, the rest is columns.py's
        + (f" WHERE {condition}" if condition else "")
        + (f" ORDER BY {', '.join(order)}" if order else "")
    )


def copy(
    rows: RowSource,
    query: str,
    postgres: psycopg.Connection,
    table: sql.Composable,
    columns: Sequence[Column],
    *,
    freeze: bool = False,
    every: int = 0,
    key: Sequence[int] = (),
) -> Sent:
    """Copy all rows of a query. With `every`, note the columns at the places `key` of every n-th row, except the first.

    FREEZE is for a table created in the same transaction: without it, a reader whose REPEATABLE READ snapshot is older
    sees an empty table.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH ({}ENCODING 'UTF8')").format(
        table,
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        sql.SQL("FREEZE, " if freeze else ""),
    )
    sent = size = 0
    keys = _Keys(every, key)
    with postgres.cursor() as cursor:
        with cursor.copy(statement) as copied:
            for chunk in rows.tab_separated(query):
                sent += keys.pass_on(chunk) if every else chunk.count(b"\n")
                size += len(chunk)
                copied.write(chunk)
        arrived = cursor.rowcount
    if arrived != sent:
        raise RuntimeError(f"PostgreSQL counts {arrived} rows in the {sent} lines that it was sent")
    return Sent(sent, size, keys.found)


class _Keys:
    """Picks the key of every n-th row out of the stream. Lines may span chunks."""

    def __init__(self, every: int, places: Sequence[int]) -> None:
        self.found: list[tuple[str, ...]] = []
        self._every = every
        self._places = places
        self._rows = 0
        self._rest = b""
        """The beginning of a line whose end is in the next chunk."""

    def pass_on(self, chunk: bytes) -> int:
        """Look at a chunk. Returns the number of rows that end in it."""
        lines = chunk.count(b"\n")
        first = -self._rows % self._every or (self._every if self._rows == 0 else 0)
        if first < lines:
            self._pick(chunk, first, lines)
        last = chunk.rfind(b"\n")
        self._rest = self._rest + chunk if last < 0 else chunk[last + 1 :]
        self._rows += lines
        return lines

    def _pick(self, chunk: bytes, first: int, lines: int) -> None:
        whole = (self._rest + chunk).split(b"\n")
        for line in range(first, lines, self._every):
            values = whole[line].split(b"\t")
            self.found.append(tuple(_unescaped(values[place]) for place in self._places))


_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANING = {b"b": b"\b", b"f": b"\f", b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}


def _unescaped(value: bytes) -> str:
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), value).decode()
