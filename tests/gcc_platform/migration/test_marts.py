"""The marts of both sides are the same, cell by cell; what is not is found."""

import asyncio
from datetime import datetime

import psycopg

from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity import marts
from gcc_platform.migration.rehearsal.old_rows import fill
from ingest_service.clickhouse.client import connected
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator
from tests.harness.running import query

UNTIL = datetime(2026, 3, 1)
TABLES = tuple(LEGACY_TABLES)


async def _fill(url: str) -> None:
    async with legacy_database.writing(url) as old:
        for table in TABLES:
            await fill(old, table, 2000, 0.2, UNTIL)


def owner(moving: Moving, sql: str) -> str:
    """As the migration's user, who owns what is built."""
    return query(moving.clickhouse_url, sql)


def test_marts_of_both_sides_are_equal_and_one_cell_and_one_row_are_found(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    asyncio.run(_fill(moving.legacy_url))
    operator.run("init", *TABLES)
    operator.run("backfill", *TABLES)
    level = ("check", *TABLES, "--level", "marts", "--until", "2026-03-01", "--mart-days", "0")
    output = operator.run(*level)
    assert "mart_post_timeseries: 0 rows" not in output
    assert "no equal" not in output
    [line] = [line for line in output.splitlines() if line.startswith("places on leaderboards")]
    same, count = (int(word) for word in line.split() if word.isdigit())
    assert same == count > 100
    passed = "SELECT DISTINCT legacy_table, passed FROM migration.gate_results WHERE gate = 'marts_agree'"
    assert {*moving.noted(passed)} == {(table, True) for table in TABLES}

    key = owner(moving, "SELECT profile_id, date FROM warehouse_legacy.mart_profile_timeseries LIMIT 1").split()
    where = f"profile_id = '{key[0]}' AND date = '{key[1]}'"
    owner(moving, f"ALTER TABLE warehouse_legacy.mart_profile_timeseries UPDATE handle = 'x' WHERE {where} "
                  "SETTINGS mutations_sync = 2")  # fmt: skip
    lost = owner(moving, "SELECT shortcode, date FROM warehouse_events.mart_post_timeseries LIMIT 1").split()
    where = f"shortcode = '{lost[0]}' AND date = '{lost[1]}'"
    owner(moving, f"ALTER TABLE warehouse_events.mart_post_timeseries DELETE WHERE {where} SETTINGS mutations_sync = 2")
    found = {mart.name: mart for mart in compare(moving) if not mart.is_equal}
    assert found.keys() == {"mart_profile_timeseries", "mart_post_timeseries"}
    cell, row = found["mart_profile_timeseries"], found["mart_post_timeseries"]
    assert (cell.only_of_events, cell.only_of_rows) == (1, 1)
    assert [example.endswith(": handle") and key[0] in example for example in cell.examples] == [True]
    assert (row.only_of_events, row.only_of_rows) == (0, 1)
    assert [example.endswith(": only of rows") and lost[0] in example for example in row.examples] == [True]


def compare(moving: Moving) -> list[marts.Mart]:
    """What is built, compared again."""

    async def again() -> list[marts.Mart]:
        async with connected(moving.clickhouse_url, 60) as clickhouse:
            return list(await marts.compare(clickhouse))

    return asyncio.run(again())


def make(moving: Moving, table: str, of_events: str, of_rows: str) -> None:
    """A mart of both sides with these values, each a tuple of SQL."""
    for side, values in (("warehouse_events", of_events), ("warehouse_legacy", of_rows)):
        owner(moving, f"DROP DATABASE IF EXISTS {side}")
        owner(moving, f"CREATE DATABASE {side}")
        owner(moving, f"CREATE TABLE {side}.{table} (id UInt64, word Nullable(String)) ENGINE = MergeTree ORDER BY id")
        owner(moving, f"INSERT INTO {side}.{table} VALUES {values}")


def test_a_row_that_one_side_has_twice_is_a_difference(moving: Moving) -> None:
    make(moving, "mart_words", "(1, 'a'), (2, NULL), (2, NULL)", "(1, 'a'), (2, NULL)")
    [mart] = compare(moving)
    assert (mart.only_of_events, mart.only_of_rows) == (1, 0)
    assert mart.examples == ["2: 2 rows of events, 1 of PostgreSQL's rows"]


def test_a_value_that_is_null_on_one_side_is_a_difference(moving: Moving) -> None:
    make(moving, "mart_words", "(1, 'a'), (2, NULL)", "(1, 'a'), (2, '')")
    [mart] = compare(moving)
    assert (mart.only_of_events, mart.only_of_rows, mart.examples) == (1, 1, ["2: word"])


def test_leaderboards_that_were_not_built_have_no_places(moving: Moving) -> None:
    make(moving, "mart_words", "(1, 'a')", "(1, 'a')")

    async def count() -> marts.Places:
        async with connected(moving.clickhouse_url, 60) as clickhouse:
            return await marts.places(clickhouse)

    assert asyncio.run(count()) == marts.Places(0, 0)


def test_a_build_that_fails_is_one_error_with_the_end_of_dbts_output(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.run("init", "order_log")
    operator.setting("DBT_CLICKHOUSE_CLUSTER", "nowhere")
    output = operator.run("check", "order_log", "--level", "marts", code=1)
    assert "error: dbt cannot build warehouse_" in output
    assert "Database Error" in output
