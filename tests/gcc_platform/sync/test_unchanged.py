"""A mart that has not changed is not copied; what was changed in PostgreSQL by hand is found, named and repaired."""

from collections.abc import Callable

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync import state
from gcc_platform.sync.declared_indexes import Index, Key
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.mode import Mode
from gcc_platform.sync.syncing import Synced, sync
from tests.harness.running import eventually

ROWS = 1_000


@pytest.fixture
def mart(make_mart: Callable[..., Mart]) -> Mart:
    return make_mart("id UInt64, v Nullable(Int64)", f"number, if(number % 3 = 0, NULL, number) FROM numbers({ROWS})")


def run(source: ClickHouse, target: psycopg.Connection, mart: Mart) -> Synced:
    return sync(source, target, mart)


def table(target: psycopg.Connection, mart: Mart) -> sql.Composable:
    found = state.read(target, mart.name)
    assert found is not None
    return sql.Identifier("serving_data", found.table_name)


def served(target: psycopg.Connection, mart: Mart) -> list[tuple[int, int | None]]:
    return target.execute(
        sql.SQL("SELECT id, v FROM serving.{} ORDER BY id").format(sql.Identifier(mart.name))
    ).fetchall()


def by_hand(target: psycopg.Connection, mart: Mart, statement: str) -> None:
    """Change the served table, and wait until PostgreSQL has counted it."""
    target.execute(sql.SQL(statement).format(table(target, mart)))  # type: ignore[arg-type]
    target.execute("SELECT pg_stat_force_next_flush()")


def test_what_has_not_changed_is_not_copied(source: ClickHouse, target: psycopg.Connection, mart: Mart) -> None:
    first = run(source, target, mart)
    second = run(source, target, mart)
    assert (first.mode, second.mode) == (Mode.FULL, Mode.UNCHANGED)
    assert (second.rows, second.mart_rows, second.sent_bytes) == (ROWS, ROWS, 0)


def test_a_merge_or_a_rebuild_with_the_same_rows_is_no_change(
    source: ClickHouse, target: psycopg.Connection, mart: Mart, warehouse: Client, make_mart: Callable[..., Mart]
) -> None:
    run(source, target, mart)
    make_mart("id UInt64, v Nullable(Int64)", f"number, if(number % 3 = 0, NULL, number) FROM numbers({ROWS})")
    assert run(source, target, mart).mode is Mode.UNCHANGED
    warehouse.command(f"OPTIMIZE TABLE warehouse.{mart.name} FINAL")
    assert run(source, target, mart).mode is Mode.UNCHANGED


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE {} UPDATE v = 7 WHERE id = 5 SETTINGS mutations_sync = 2",
        "ALTER TABLE {} UPDATE v = NULL WHERE id = 5 SETTINGS mutations_sync = 2",
        "DELETE FROM {} WHERE id = 5",
        "INSERT INTO {} VALUES (5000, 1)",
    ],
)
def test_every_change_of_the_mart_is_copied(
    source: ClickHouse, target: psycopg.Connection, mart: Mart, warehouse: Client, change: str
) -> None:
    run(source, target, mart)
    warehouse.command(change.format(f"warehouse.{mart.name}"))
    assert run(source, target, mart).mode is Mode.FULL
    expected = warehouse.query(f"SELECT id, v FROM warehouse.{mart.name} ORDER BY id").result_rows
    assert served(target, mart) == [tuple(row) for row in expected]


def test_a_view_is_compared_by_its_rows(
    source: ClickHouse, target: psycopg.Connection, mart: Mart, warehouse: Client
) -> None:
    warehouse.command(f"RENAME TABLE warehouse.{mart.name} TO warehouse.{mart.name}_rows")
    warehouse.command(f"CREATE VIEW warehouse.{mart.name} AS SELECT * FROM warehouse.{mart.name}_rows")
    try:
        run(source, target, mart)
        assert run(source, target, mart).mode is Mode.UNCHANGED
        warehouse.command(f"INSERT INTO warehouse.{mart.name}_rows VALUES (5000, 1)")
        assert run(source, target, mart).mode is Mode.FULL
    finally:
        warehouse.command(f"DROP TABLE warehouse.{mart.name}_rows")


def test_a_column_or_an_index_more_is_a_change(
    source: ClickHouse, target: psycopg.Connection, mart: Mart, warehouse: Client
) -> None:
    run(source, target, mart)
    assert run(source, target, Mart(mart.name, mart.grain, (Index((Key("v"),)),))).mode is Mode.FULL
    warehouse.command(f"ALTER TABLE warehouse.{mart.name} ADD COLUMN w Nullable(Int64)")
    assert run(source, target, Mart(mart.name, mart.grain, (Index((Key("v"),)),))).mode is Mode.FULL


@pytest.mark.parametrize(
    ("statement", "description"),
    [
        (
            "DELETE FROM {} WHERE id < 30",
            f"{ROWS - 30} rows are served, {ROWS} were loaded; 0 were inserted or updated by somebody since",
        ),
        (
            "UPDATE {} SET v = v + 1000000 WHERE id IN (41, 43)",
            f"{ROWS} rows are served, {ROWS} were loaded; 2 were inserted or updated by somebody since, e.g. 41; 43",
        ),
        (
            "INSERT INTO {} VALUES (9001, 1)",
            f"{ROWS + 1} rows are served, {ROWS} were loaded; 1 were inserted or updated by somebody since, e.g. 9001",
        ),
    ],
)
def test_rows_changed_by_hand_are_named_and_repaired(
    source: ClickHouse, target: psycopg.Connection, mart: Mart, statement: str, description: str
) -> None:
    run(source, target, mart)
    right = served(target, mart)
    by_hand(target, mart, statement)
    assert served(target, mart) != right

    def repaired() -> Synced | None:
        found = run(source, target, mart)
        return found if found.written else None

    found: Synced = eventually(repaired, 15)
    assert found.written is not None
    assert found.written.description == description
    assert served(target, mart) == right
    assert run(source, target, mart).written is None


def test_a_dropped_view_and_a_dropped_table_are_named_and_repaired(
    source: ClickHouse, target: psycopg.Connection, mart: Mart
) -> None:
    run(source, target, mart)
    right = served(target, mart)
    view = sql.Identifier("serving", mart.name)
    for statement, dropped, expected in (
        ("DROP VIEW {}", lambda: view, "the view serving."),
        ("DROP TABLE {} CASCADE", lambda: table(target, mart), "the table serving_data."),
    ):
        target.execute(sql.SQL(statement).format(dropped()))
        found = run(source, target, mart)
        assert found.written is not None
        assert found.written.description.startswith(expected)
        assert served(target, mart) == right


def test_counters_that_say_nothing_are_checked_against_the_rows(
    source: ClickHouse, target: psycopg.Connection, mart: Mart
) -> None:
    """A write that was rolled back counts too; after a crash all counters are zero."""
    run(source, target, mart)
    with target.transaction(force_rollback=True):
        target.execute(sql.SQL("UPDATE {} SET v = 0").format(table(target, mart)))
    target.execute("SELECT pg_stat_force_next_flush()")
    found = run(source, target, mart)
    assert (found.mode, found.written) == (Mode.UNCHANGED, None)
