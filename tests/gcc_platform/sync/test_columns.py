"""Values are the same on both sides, however nasty."""

import math
from collections.abc import Callable

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.columns import UnsupportedColumn, column
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.snapshot import new_version, sync

NASTY = [
    # type in ClickHouse, the value's SQL, type in PostgreSQL
    ("String", r"'tab\t newline\n return\r backslash\\ quote\' \"'", "text"),
    ("String", r"'\\N'", "text"),
    ("String", r"'\\.'", "text"),
    ("String", "''", "text"),
    ("String", "'Überwältigend 🎬 हिन्दी \u200d'", "text"),
    ("LowCardinality(String)", "'YOUTUBE'", "text"),
    ("LowCardinality(Nullable(String))", "NULL", "text"),
    ("Nullable(String)", "NULL", "text"),
    ("Nullable(String)", "''", "text"),
    ("UInt64", "18446744073709551615", "numeric(20,0)"),
    ("Int64", "-9223372036854775808", "bigint"),
    ("UInt32", "4294967295", "bigint"),
    ("UInt8", "255", "smallint"),
    ("Int128", "-170141183460469231731687303715884105728", "numeric(39,0)"),
    ("Nullable(Int32)", "NULL", "integer"),
    ("Float64", "-inf", "double precision"),
    ("Float64", "0.1", "double precision"),
    ("Nullable(Float64)", "1e308", "double precision"),
    ("Bool", "true", "boolean"),
    ("UUID", "'4b76ddcf-676f-5fe8-ba32-4b6e901ccaa9'", "uuid"),
    ("Date", "'2149-06-06'", "date"),
    ("Date32", "'1900-01-01'", "date"),
    ("DateTime('UTC')", "'2017-11-14 12:00:00'", "timestamp with time zone"),
    ("DateTime('Asia/Kolkata')", "'2017-11-14 12:00:00'", "timestamp with time zone"),
    ("DateTime64(6, 'UTC')", "'1969-12-31 23:59:59.123456'", "timestamp with time zone"),
    ("Nullable(DateTime64(3, 'UTC'))", "NULL", "timestamp with time zone"),
    ("Decimal(38, 9)", "toDecimal128('-12345678901234567890123456789.123456789', 9)", "numeric(38,9)"),
    ("Enum8('a\\tb' = 1)", "'a\\tb'", "text"),
    ("Array(String)", r"""['', 'NULL', 'a,b', '{}', '"', '\\', '\t\n']""", "text[]"),
    ("Array(LowCardinality(Nullable(String)))", "['x', NULL]", "text[]"),
    ("Array(Int64)", "[-1, 9223372036854775807]", "bigint[]"),
    ("Array(UInt32)", "[]", "bigint[]"),
]


@pytest.mark.parametrize(("clickhouse_type", "value", "postgres_type"), NASTY)
def test_a_value_arrives_as_it_is(
    clickhouse_type: str,
    value: str,
    postgres_type: str,
    source: ClickHouse,
    target: psycopg.Connection,
    warehouse: Client,
    make_mart: Callable[..., Mart],
) -> None:
    mart = make_mart(f"id Int32, v {clickhouse_type}", f"1, {value}")

    sync(source, target, mart, new_version())

    [(expected,)] = warehouse.query(f"SELECT v FROM warehouse.{mart.name}", tz_mode="aware").result_rows
    [(arrived, its_type)] = target.execute(
        f"SELECT v, format_type(atttypid, atttypmod) FROM serving.{mart.name}, pg_attribute "
        f"WHERE attrelid = 'serving.{mart.name}'::regclass AND attname = 'v'"
    ).fetchall()
    assert arrived == expected
    assert its_type == postgres_type


def test_nan_stays_nan(source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]) -> None:
    mart = make_mart("id Int32, v Nullable(Float64)", "1, nan")

    sync(source, target, mart, new_version())

    [(arrived,)] = target.execute(f"SELECT v FROM serving.{mart.name}").fetchall()
    assert math.isnan(arrived)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (r"'a\0b'", "ab"),
        (r"'\xff!'", "\ufffd!"),
        (r"'\xed\xa0\x80'", None),  # a lone surrogate: replaced by as many marks as ClickHouse likes
        (r"'\xc0\x80'", None),
        (r"'\xf5\x80\x80\x80'", None),
    ],
)
def test_text_that_postgres_refuses_is_cleaned(
    value: str,
    expected: str | None,
    source: ClickHouse,
    target: psycopg.Connection,
    make_mart: Callable[..., Mart],
) -> None:
    mart = make_mart("id Int32, v String, a Array(String)", f"1, {value}, [{value}]")

    sync(source, target, mart, new_version())

    [(arrived, [in_array])] = target.execute(f"SELECT v, a FROM serving.{mart.name}").fetchall()
    assert arrived == in_array
    assert expected is None or arrived == expected


def test_nanoseconds_are_cut_not_rounded(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id Int32, v DateTime64(9, 'UTC')", "1, '2017-12-31 23:59:59.999999999'")

    sync(source, target, mart, new_version())

    [(arrived,)] = target.execute(f"SELECT v FROM serving.{mart.name}").fetchall()
    assert (arrived.year, arrived.microsecond) == (2017, 999999)


@pytest.mark.parametrize(
    "clickhouse_type",
    ["Map(String, Int64)", "Tuple(a Int8)", "Array(Array(Int8))", "AggregateFunction(sum, Int64)"],
)
def test_a_type_without_counterpart_is_named_with_the_way_out(clickhouse_type: str) -> None:
    with pytest.raises(UnsupportedColumn) as error:
        column("mart_x", "odd", clickhouse_type)
    assert "mart_x.odd is " + clickhouse_type in str(error.value)
    assert "toJSONString(odd)" in str(error.value)


def test_names_are_quoted(source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]) -> None:
    mart = make_mart(r"""id Int32, `select "x` Int32, `back\`tick` String""", "1, 2, 'three'")

    sync(source, target, mart, new_version())

    assert target.execute(f"SELECT * FROM serving.{mart.name}").fetchall() == [(1, 2, "three")]
