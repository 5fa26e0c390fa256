"""Two rows have the same checksum if, and only if, their values are equal; on both servers alike."""

import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.checksums import checksum
from gcc_platform.sync.column_types.columns import Column, column

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kind:
    """A ClickHouse type, its values as Python has them, and how to write one in SQL."""

    name: str
    values: st.SearchStrategy[Any]

    def literal(self, value: Any) -> str:
        return f"CAST({_literal(value)} AS {self.name})"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, bytes):  # a float
        return f"reinterpretAsFloat64(unhex('{value[::-1].hex()}'))"
    if isinstance(value, datetime):
        return f"fromUnixTimestamp64Micro(toInt64({(value - EPOCH) // timedelta(microseconds=1)}), 'UTC')"
    return f"unhex('{str(value).encode().hex()}')"


def _float(value: float) -> bytes:
    """The bits: they distinguish -0 from 0. All NaNs are one."""
    return struct.pack(">d", value if value == value else float("nan"))  # noqa: PLR0124


SCALARS = [
    Kind("Int16", st.integers(-(2**15), 2**15 - 1)),
    Kind("Int32", st.integers(-(2**31), 2**31 - 1)),
    Kind("Int64", st.integers(-(2**63), 2**63 - 1)),
    Kind("UInt64", st.integers(0, 2**64 - 1)),
    Kind("Int256", st.integers(-(2**255), 2**255 - 1)),
    Kind("Float64", st.floats().map(_float)),
    Kind("Decimal(20, 4)", st.decimals(Decimal(-(10**15)), Decimal(10**15), places=4)),
    Kind("Bool", st.booleans().map(lambda value: str(value).lower())),
    Kind("UUID", st.uuids()),
    Kind("IPv4", st.ip_addresses(v=4)),
    Kind("IPv6", st.ip_addresses(v=6)),
    Kind("Date32", st.dates(date(1900, 1, 1), date(2299, 12, 31))),
    Kind(
        "DateTime64(6, 'UTC')",
        st.datetimes(datetime(1900, 1, 1), datetime(2299, 12, 31), timezones=st.just(UTC)),
    ),
    Kind("String", st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)),
    Kind("String", st.text("~=,:\x1f\\\"'{}N", max_size=4)),
]
KINDS = st.sampled_from(SCALARS).flatmap(
    lambda kind: st.sampled_from(
        [
            kind,
            Kind(f"Nullable({kind.name})", st.none() | kind.values),
            Kind(f"Array({kind.name})", st.lists(kind.values, max_size=3)),
            Kind(f"Array(Nullable({kind.name}))", st.lists(st.none() | kind.values, max_size=3)),
        ]
    )
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Kind], list[list[Any]]]:
    """Columns, and rows of which some are equal and some differ in one value."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4))
    rows = [draw(st.tuples(*(kind.values for kind in kinds)).map(list))]
    for _ in range(draw(st.integers(1, 5))):
        row = list(draw(st.sampled_from(rows)))
        index = draw(st.integers(-1, len(kinds) - 1))
        if index >= 0:
            row[index] = draw(kinds[index].values)
        rows.append(row)
    return kinds, rows


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_rows_have_the_same_checksum_if_and_only_if_their_values_are_equal(
    table: tuple[list[Kind], list[list[Any]]], source: ClickHouse, target: psycopg.Connection
) -> None:
    kinds, rows = table
    columns = [column(f"c{index}", kind.name) for index, kind in enumerate(kinds)]
    written = [[kind.literal(value) for kind, value in zip(kinds, row, strict=True)] for row in rows]

    in_clickhouse = _in_clickhouse(source, columns, written)
    assert _in_postgres(target, source, columns, written) == in_clickhouse

    for one, other in combinations(range(len(rows)), 2):
        assert (rows[one] == rows[other]) == (in_clickhouse[one] == in_clickhouse[other])


def _rows(columns: list[Column], written: list[list[str]]) -> str:
    selects = [
        f"SELECT {number} AS id, "
        + ", ".join(f"{value} AS {each.name}" for value, each in zip(row, columns, strict=True))
        for number, row in enumerate(written)
    ]
    return f"FROM ({' UNION ALL '.join(selects)}) ORDER BY id"


def _in_clickhouse(source: ClickHouse, columns: list[Column], written: list[list[str]]) -> list[int]:
    found = source.rows(f"SELECT {checksum.in_clickhouse(columns)} {_rows(columns, written)}")
    return [int(value) for (value,) in found]


def _in_postgres(
    target: psycopg.Connection, source: ClickHouse, columns: list[Column], written: list[list[str]]
) -> list[int]:
    """The checksums of the rows after they came by COPY, as the sync's do."""
    listed = ", ".join(f"{each.name} {each.postgres_type}" for each in columns)
    expressions = ", ".join(each.expression for each in columns)
    with target.transaction(force_rollback=True), target.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE t (id int, {listed})")
        with cursor.copy("COPY t FROM STDIN") as copy:
            for chunk in source.tab_separated(f"SELECT id, {expressions} {_rows(columns, written)}"):
                copy.write(chunk)
        cursor.execute(sql.SQL("SELECT {} FROM t ORDER BY id").format(checksum.in_postgres(columns, "t")))
        return [value for (value,) in cursor.fetchall()]
