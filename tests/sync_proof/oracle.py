"""The independent oracle: both sides read into Python by their own protocols, and compared value by value.

It shares nothing with the sync: ClickHouse answers in its native binary format, and not as text that COPY reads.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from clickhouse_connect.driver.client import Client
from psycopg import sql

Content = Mapping[tuple[Any, ...], tuple[Any, ...]]
"""Rows by their key: name and value of each column, sorted by name."""

_SHOWN = 5


class Doubled(AssertionError):
    """One side has a key twice."""


def in_clickhouse(client: Client, table: str, grain: Sequence[str]) -> Content:
    """All rows of a mart."""
    found = client.query(f"SELECT * FROM {table}", tz_mode="aware")
    return _content(found.column_names, found.result_rows, grain)


def in_postgres(postgres: psycopg.Connection, mart: str, grain: Sequence[str]) -> Content:
    """All rows that are served."""
    with postgres.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM serving.{}").format(sql.Identifier(mart)), prepare=False)
        names = [column.name for column in cursor.description or ()]
        return _content(names, cursor.fetchall(), grain)


def _content(names: Sequence[str], rows: Sequence[Sequence[Any]], grain: Sequence[str]) -> Content:
    if not rows:
        return {}  # clickhouse_connect then has no names either
    places = [names.index(name) for name in grain]
    order = sorted(range(len(names)), key=names.__getitem__)
    found = {
        tuple(row[place] for place in places): tuple((names[place], _plain(row[place])) for place in order)
        for row in rows
    }
    if len(found) != len(rows):
        raise Doubled(f"{len(rows)} rows have {len(found)} keys")
    return found


def _plain(value: Any) -> Any:
    """A value that is equal to another one only if all its bits are; both servers' types of it alike."""
    match value:
        case bool():
            plain: Any = (str(value), "bool")  # 1 is equal to True
        case float():
            plain = "nan" if math.isnan(value) else struct.pack(">d", value)
        case Decimal() | int():
            plain = Decimal(value).normalize() if value else Decimal(0)
        case datetime():
            plain = value.timestamp() if value.tzinfo else value
        case list() | tuple():
            plain = tuple(_plain(each) for each in value)
        case None | date() | str():
            plain = value
        case _:
            raise TypeError(f"the oracle does not know {type(value)}")
    return plain


@dataclass(frozen=True)
class Difference:
    """How two contents differ."""

    missing: Sequence[tuple[Any, ...]]
    added: Sequence[tuple[Any, ...]]
    changed: Sequence[tuple[Any, ...]]

    def __bool__(self) -> bool:
        return bool(self.missing or self.added or self.changed)

    def __str__(self) -> str:
        counts = f"{len(self.missing)} missing, {len(self.added)} too many, {len(self.changed)} different"
        return f"{counts}: {[*self.missing, *self.added, *self.changed][:_SHOWN]}"


def difference(wanted: Content, found: Content) -> Difference:
    """The keys in which they differ."""
    return Difference(
        [key for key in wanted if key not in found],
        [key for key in found if key not in wanted],
        [key for key in wanted if key in found and wanted[key] != found[key]],
    )
