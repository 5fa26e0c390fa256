"""Every type that a mart may have: its values arrive as they are, and its rows have one checksum on both servers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.checksums import checksum
from gcc_platform.sync.column_types.cleaning import cleaned
from gcc_platform.sync.column_types.columns import Column, columns_of
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.syncing import sync
from tests.gcc_platform.sync.conformance import CASES

ROWS = max(len(case.values) for case in CASES)


@pytest.fixture
def mart(warehouse: Client, source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]) -> Mart:
    """A synced mart with a column c<n> of each case; a case with fewer values than others repeats its last."""
    warehouse.set_client_setting("allow_suspicious_low_cardinality_types", 1)
    columns = ", ".join(f"c{index} {case.clickhouse_type}" for index, case in enumerate(CASES))
    selects = (", ".join([str(row), *(_cast(index, row) for index in range(len(CASES)))]) for row in range(ROWS))
    made = make_mart(f"id Int32, {columns}", " UNION ALL SELECT ".join(selects))
    made = replace(made, jsonb=tuple(f"c{index}" for index, case in enumerate(CASES) if case.is_json_on_request))
    sync(source, target, made)
    return made


def _nth(values: dict[str, str | None], row: int) -> str:
    return [*values][min(row, len(values) - 1)]


def _cast(index: int, row: int) -> str:
    return f"CAST({_nth(CASES[index].values, row)} AS {CASES[index].clickhouse_type})"


def test_values_arrive_as_they_are_or_are_counted_and_rows_have_one_checksum_on_both_servers(
    mart: Mart, source: ClickHouse, target: psycopg.Connection
) -> None:
    columns = columns_of(source, mart.database, mart.name, mart.jsonb)
    assert [column.postgres_type for column in columns[1:]] == [case.postgres_type for case in CASES]

    texts = ", ".join(f"{column.name}::text" for column in columns[1:])
    for row, values in enumerate(target.execute(f"SELECT {texts} FROM serving.{mart.name} ORDER BY id").fetchall()):
        expected = [case.values[_nth(case.values, row)] for case in CASES]
        assert _named(values) == _named(expected)

    assert cleaned(source, columns, f"FROM {mart.database}.{mart.name}") == Counter(
        f"c{index}" for index, case in enumerate(CASES) for row in range(ROWS) if _nth(case.values, row) in case.changed
    )

    if _in_clickhouse(source, mart, columns) != _in_postgres(target, mart, columns):
        differ = [
            column.clickhouse_type
            for column in columns
            if _in_clickhouse(source, mart, [column]) != _in_postgres(target, mart, [column])
        ]
        pytest.fail(f"the checksums of these types differ: {differ}")


def _named(values: Sequence[str | None]) -> list[tuple[str, str | None]]:
    return [(case.clickhouse_type, value) for case, value in zip(CASES, values, strict=True)]


def _in_clickhouse(source: ClickHouse, mart: Mart, columns: Sequence[Column]) -> list[tuple[int, int]]:
    query = f"SELECT id, {checksum.in_clickhouse(columns)} FROM {mart.database}.{mart.name} ORDER BY id"
    return [(row, int(value)) for row, value in source.rows(query)]


def _in_postgres(target: psycopg.Connection, mart: Mart, columns: Sequence[Column]) -> list[tuple[int, int]]:
    query = sql.SQL("SELECT id, {} FROM {} AS t ORDER BY id").format(
        checksum.in_postgres(columns, "t"), sql.Identifier("serving", mart.name)
    )
    return target.execute(query).fetchall()
