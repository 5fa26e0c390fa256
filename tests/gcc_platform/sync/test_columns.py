"""What PostgreSQL cannot hold is cleaned and counted, or refused with the way out."""

from collections.abc import Callable

import psycopg
import pytest

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.column_types.cleaning import cleaned
from gcc_platform.sync.column_types.columns import column, columns_of
from gcc_platform.sync.column_types.refusals import UnsupportedColumn
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.syncing import sync


@pytest.mark.parametrize("value", [r"'\xed\xa0\x80'", r"'\xc0\x80'", r"'\xf5\x80\x80\x80'"])
def test_bad_utf8_is_replaced_and_counted(
    value: str, source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id Int32, v String, a Array(String)", f"number, {value}, [{value}] FROM numbers(3)")

    sync(source, target, mart)

    arrived = target.execute(f"SELECT v, a[1] FROM serving.{mart.name}").fetchall()
    assert all(text == in_array and "\ufffd" in text for text, in_array in arrived)
    columns = columns_of(source, mart.database, mart.name)
    assert cleaned(source, columns, f"FROM warehouse.{mart.name} WHERE id < {{n:Int32}}", {"n": 2}) == {"v": 2, "a": 2}


def test_an_interval_too_long_for_postgres_is_an_error(source: ClickHouse, make_mart: Callable[..., Mart]) -> None:
    mart = make_mart("id Int32, v IntervalWeek", "1, toIntervalWeek(306783379)")
    [_, weeks] = columns_of(source, mart.database, mart.name)

    with pytest.raises(Exception, match="an interval is too long for PostgreSQL"):
        source.rows(f"SELECT {weeks.expression} FROM warehouse.{mart.name}")


def test_all_columns_that_cannot_be_served_are_named_with_the_way_out(
    source: ClickHouse, make_mart: Callable[..., Mart]
) -> None:
    long_name = "ü" * 32
    mart = make_mart(
        f"id Int32, map Map(String, Int64), state AggregateFunction(sum, Int64), `ctid` Int8, `{long_name}` Int8"
    )

    with pytest.raises(UnsupportedColumn) as error:
        columns_of(source, mart.database, mart.name, ["gone"])

    name = mart.name
    assert str(error.value).splitlines() == [
        f"{name}.map is Map(String, Int64), which PostgreSQL does not have. Serve it as JSON (meta.jsonb: [map] in the "
        "mart's yml), or cast it in the mart's SQL, e.g. toString(map) or toJSONString(map).",
        f"{name}.state is AggregateFunction(sum, Int64), a state of an aggregate function. Finish it in the mart's "
        "SQL: finalizeAggregation(state).",
        f"{name}.ctid: every table of PostgreSQL has a system column ctid. Rename it in the mart's SQL.",
        f"{name}.{long_name}: the name has 64 bytes, and PostgreSQL cuts names to 63. Shorten it in the mart's SQL.",
        f"{name}: meta.jsonb names the column gone, which the mart does not have. Correct it in its yml.",
    ]


def test_names_are_quoted(source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]) -> None:
    mart = make_mart(r"""id Int32, `select "x` Int32, `back\`tick {0}` String""", "1, 2, 'three'")

    sync(source, target, mart)

    assert target.execute(f"SELECT * FROM serving.{mart.name}").fetchall() == [(1, 2, "three")]


def test_a_column_whose_values_never_change_costs_no_query(source: ClickHouse) -> None:
    assert cleaned(source, [column("n", "Int64"), column("t", "DateTime64(6, 'UTC')")], "FROM nowhere") == {}
