"""Only what has changed is sent: rows by block numbers, deletes by counting; PostgreSQL is equal after each sync."""

import random
from collections.abc import Callable

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync import key_ranges, parity, state
from gcc_platform.sync.column_types.columns import columns_of
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.mode import Mode
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.syncing import RowsFell, sync

ROWS = 60_000
COLUMNS = "platform String, id Int64, day Date, v Nullable(Int64), f Float64, s Nullable(String)"
MADE = (
    "['X', 'y_', 'ä'][1 + number % 3], intDiv(number, 3), toDate('2026-01-01') + number % 20, "
    "if(number % 5 = 0, NULL, number), number / 7, toString(number)"
)


@pytest.fixture
def mart(make_mart: Callable[..., Mart], warehouse: Client) -> Mart:
    """A table as dbt's incremental marts are: partitioned, with block numbers."""
    made = make_mart("id UInt64")
    warehouse.command(f"DROP TABLE {made.source}")
    create(warehouse, made)
    return Mart(made.name, ("platform", "id", "day"))


def create(warehouse: Client, mart: Mart) -> None:
    warehouse.command(
        f"CREATE TABLE {mart.source} ({COLUMNS}) ENGINE = MergeTree PARTITION BY toMonday(day) "
        "ORDER BY (platform, id, day) SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1"
    )
    warehouse.command(f"INSERT INTO {mart.source} SELECT {MADE} FROM numbers({ROWS})")


def run(source: ClickHouse, target: psycopg.Connection, mart: Mart) -> Synced:
    return sync(source, target, mart, Options(least_rows=0))


def assert_equal(warehouse: Client, target: psycopg.Connection, mart: Mart) -> None:
    """By the values themselves, read from both servers."""
    there = warehouse.query(f"SELECT * FROM {mart.source}").result_rows
    here = target.execute(f"SELECT * FROM serving.{mart.name}").fetchall()
    assert sorted(map(repr, here)) == sorted(map(repr, map(tuple, there)))
    present = state.read(target, mart.name)
    assert present is not None
    assert present.rows == len(there)


def rewrite(warehouse: Client, mart: Mart, condition: str, values: str) -> None:
    """As dbt's delete_insert does it: the new rows, of which the old ones are deleted first."""
    warehouse.command(f"DROP TABLE IF EXISTS {mart.database}.{mart.name}_new")
    warehouse.command(f"CREATE TABLE {mart.database}.{mart.name}_new AS {mart.source}")
    warehouse.command(
        f"INSERT INTO {mart.database}.{mart.name}_new SELECT {values} FROM {mart.source} WHERE {condition}"
    )
    warehouse.command(f"DELETE FROM {mart.source} WHERE {condition}")
    warehouse.command(f"INSERT INTO {mart.source} SELECT * FROM {mart.database}.{mart.name}_new")
    warehouse.command(f"DROP TABLE {mart.database}.{mart.name}_new")


def test_rewritten_and_new_rows_alone_are_sent(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    first = run(source, target, mart)
    rewrite(warehouse, mart, "id < 20", "platform, id, day, v + 1, f, s")
    rewrite(warehouse, mart, "id BETWEEN 100 AND 109", "*")
    warehouse.command(
        f"INSERT INTO {mart.source} VALUES ('new', 7, '2026-01-05', 1, 2, '3'), ('new', 8, '2027-01-05', 1, 2, '3')"
    )

    second = run(source, target, mart)

    assert first.mode is Mode.FULL
    # 60 rows of 20 ids, of which every fifth has a NULL that stays NULL; 30 equal ones are sent and not written.
    assert (second.mode, second.inserted, second.updated, second.deleted) == (Mode.CHANGED_ROWS, 2, 48, 0)
    assert second.sent_bytes < first.sent_bytes / 100
    assert_equal(warehouse, target, mart)
    assert run(source, target, mart).mode is Mode.UNCHANGED


def test_merges_and_a_rebuild_of_parts_change_nothing(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    warehouse.command(f"OPTIMIZE TABLE {mart.source} FINAL")
    assert run(source, target, mart).mode is Mode.UNCHANGED


def test_vanished_rows_are_found_by_counting_and_then_by_key(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    warehouse.command(f"DELETE FROM {mart.source} WHERE id IN (3, 19000)")
    warehouse.command(f"INSERT INTO {mart.source} VALUES ('new', 7, '2026-01-05', 1, 2, '3')")

    second = run(source, target, mart)

    assert (second.mode, second.inserted, second.updated, second.deleted) == (Mode.CHANGED_ROWS, 1, 0, 6)
    assert_equal(warehouse, target, mart)


def test_a_row_moves_to_another_day(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    rewrite(warehouse, mart, "id = 77", "platform, id, day + 40, v, f, s")
    second = run(source, target, mart)
    assert (second.mode, second.inserted, second.deleted) == (Mode.CHANGED_ROWS, 3, 3)
    assert_equal(warehouse, target, mart)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE {} UPDATE v = 7 WHERE id = 5 SETTINGS mutations_sync = 2", "rows were changed in place"),
        ("ALTER TABLE {} ADD COLUMN w Int8", "its columns, grain or indexes have changed"),
        ("INSERT INTO {} SELECT * REPLACE ('again' AS platform) FROM {}", "of 120000 rows have changed"),
    ],
)
def test_what_block_numbers_do_not_show_is_copied_in_full(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart, change: str, reason: str
) -> None:
    run(source, target, mart)
    warehouse.command(change.format(mart.source, mart.source))
    second = run(source, target, mart)
    assert second.mode is Mode.FULL
    assert reason in second.reason
    assert_equal(warehouse, target, mart)


def test_a_table_that_was_created_again_is_copied_in_full(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    """As dbt's full refresh does it. Its block numbers begin again."""
    run(source, target, mart)
    warehouse.command(f"DROP TABLE {mart.source}")
    create(warehouse, mart)
    warehouse.command(f"DELETE FROM {mart.source} WHERE id = 4")
    second = run(source, target, mart)
    assert (second.mode, second.reason) == (Mode.FULL, "its table in ClickHouse was created again")
    assert_equal(warehouse, target, mart)


def test_rows_written_by_hand_are_named_and_repaired_in_place(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    served = state.present(target, mart.name)
    relation = f"serving_data.{served.table_name}"
    target.execute(f"UPDATE {relation} SET v = 5, s = NULL WHERE id = 11 AND platform = 'X'")
    target.execute(f"DELETE FROM {relation} WHERE id = 15000")
    target.execute(f"INSERT INTO {relation} VALUES ('zz', 1, '2026-01-01', 1, 1, '')")
    target.execute("SELECT pg_stat_force_next_flush()")
    warehouse.command(f"INSERT INTO {mart.source} VALUES ('new', 7, '2026-01-05', 1, 2, '3')")

    second = run(source, target, mart)

    assert (second.mode, second.inserted, second.updated, second.deleted) == (Mode.CHANGED_ROWS, 4, 1, 1)
    assert second.written is not None
    assert (second.written.rows, second.written.missing) == (2, 2)
    assert {"X, 11, 2026-01-14", "zz, 1, 2026-01-01"} <= set(second.written.keys)
    assert second.differences == 1
    assert_equal(warehouse, target, mart)
    after = state.read(target, mart.name)
    assert after is not None
    assert after.table_name == served.table_name
    third = run(source, target, mart)
    assert (third.mode, third.written, third.differences) == (Mode.UNCHANGED, None, 0)


def count_as_updated_by_a_sync(target: psycopg.Connection, mart: Mart, rows: int) -> None:
    """Make PostgreSQL's counters agree with an update by hand, as after a crash that comes at the wrong time."""
    target.execute(
        "UPDATE serving_data.syncs SET writes[2] = writes[2] + %s, written_by = pg_current_xact_id() WHERE mart = %s",
        (rows, mart.name),
    )
    target.execute("SELECT pg_stat_force_next_flush()")


def test_rows_that_nobody_counted_are_found_within_24_syncs(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    for _ in range(key_ranges.MOST):  # every range has a hash now
        run(source, target, mart)
    served = state.present(target, mart.name)
    target.execute(f"UPDATE serving_data.{served.table_name} SET v = 5 WHERE id = 9000")
    count_as_updated_by_a_sync(target, mart, 3)

    results = [run(source, target, mart) for _ in range(key_ranges.MOST)]

    found = [difference for result in results for difference in result.compared.differences]
    assert all(result.written is None for result in results)
    assert sum(difference.changes.counts[1] for difference in found) == 3
    assert {difference.cause for difference in found} == {"somebody wrote to it"}
    assert_equal(warehouse, target, mart)


def test_a_range_is_compared_with_the_same_parts_once_and_then_hashed_until_the_mart_changes(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    """A row differs, but its range has the hash that PostgreSQL is known to have had: only comparing shows it."""
    for _ in range(key_ranges.MOST + 1):
        run(source, target, mart)
    served = state.present(target, mart.name)
    target.execute(f"UPDATE serving_data.{served.table_name} SET v = 5 WHERE id = 9000 AND platform = 'X'")
    count_as_updated_by_a_sync(target, mart, 1)
    ranges = key_ranges.read(target, served.table_name, columns_of(source, mart.database, mart.name))
    [number] = parity.unlike_before(target, served.table_name, ranges)
    target.execute(
        sql.SQL(
            "UPDATE serving_data.key_ranges SET hash = (SELECT sum(hash_record_extended(t, 0)) FROM {} AS t WHERE {}) "
            "WHERE table_name = %s AND number = %s"
        ).format(sql.Identifier("serving_data", served.table_name), ranges.in_postgres(number, "t")),
        (served.table_name, number),
    )

    trusted = [run(source, target, mart) for _ in range(key_ranges.MOST)]
    assert sum(each.compared.ranges for each in trusted) == len(ranges.ranges)
    assert not any(each.findings for each in trusted)
    warehouse.command(f"INSERT INTO {mart.source} VALUES ('new', 7, '2026-01-05', 1, 2, '3')")
    compared = [run(source, target, mart) for _ in range(key_ranges.MOST)]
    [difference] = [difference for each in compared for difference in each.compared.differences]
    assert (difference.number, difference.changes.counts) == (number, (0, 1, 0))
    assert_equal(warehouse, target, mart)


def test_a_range_is_read_by_the_index_of_the_grain_from_its_lower_to_its_upper_bound(
    source: ClickHouse, target: psycopg.Connection, mart: Mart
) -> None:
    run(source, target, mart)
    served = state.present(target, mart.name)
    ranges = key_ranges.read(target, served.table_name, columns_of(source, mart.database, mart.name))
    query = sql.SQL("EXPLAIN SELECT count(*) FROM {} AS t WHERE {}").format(
        sql.Identifier("serving_data", served.table_name), ranges.in_postgres(1, "t")
    )
    plan = "\n".join(line for (line,) in target.execute(query).fetchall())
    assert f"using {served.table_name}_pkey" in plan
    assert "Filter" not in plan
    [condition] = [line for line in plan.splitlines() if "Index Cond" in line]
    assert " >= ROW(" in condition
    assert " < ROW(" in condition


def test_rows_written_by_hand_because_of_which_the_counts_disagree_are_named_before_the_full_copy(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    """PostgreSQL's counters agree, as while the writer's session has not reported what it did."""
    run(source, target, mart)
    served = state.present(target, mart.name)
    relation = f"serving_data.{served.table_name}"
    target.execute(f"INSERT INTO {relation} VALUES ('X', 1, '2025-01-01', 1, 1, '')")
    target.execute("UPDATE serving_data.syncs SET writes[1] = writes[1] + 1 WHERE mart = %s", (mart.name,))
    target.execute("SELECT pg_stat_force_next_flush()")
    warehouse.command(f"DELETE FROM {mart.source} WHERE id = 11 AND platform = 'X'")

    second = run(source, target, mart)

    assert second.mode is Mode.FULL
    assert "the changed rows did not add up" in second.reason
    assert second.written is not None
    assert (second.written.rows, second.written.keys) == (1, ["X, 1, 2025-01-01"])
    assert_equal(warehouse, target, mart)


def test_a_mart_that_loses_a_fifth_of_its_rows_is_served_on_as_it_was(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart
) -> None:
    run(source, target, mart)
    warehouse.command(f"DELETE FROM {mart.source} WHERE id % 4 = 0")
    with pytest.raises(RowsFell, match=f"gcc-platform sync {mart.name} --allow-fewer-rows"):
        run(source, target, mart)
    assert target.execute(f"SELECT count(*) FROM serving.{mart.name}").fetchone() == (ROWS,)
    allowed = sync(source, target, mart, Options(max_fall=1, least_rows=0))
    assert (allowed.mode, allowed.deleted) == (Mode.CHANGED_ROWS, ROWS // 4)
    assert_equal(warehouse, target, mart)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_history_ends_with_equal_rows(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, mart: Mart, seed: int
) -> None:
    chance = random.Random(seed)
    run(source, target, mart)
    for _ in range(4):
        for _ in range(3):
            low, width = chance.randrange(ROWS // 3), chance.randrange(200)
            condition = f"id BETWEEN {low} AND {low + width}"
            match chance.randrange(5):
                case 0:
                    rewrite(warehouse, mart, condition, "platform, id, day, v + 1, f, NULL")
                case 1:
                    rewrite(warehouse, mart, condition, "platform, id, day + 7, v, f, s")
                case 2:
                    warehouse.command(f"DELETE FROM {mart.source} WHERE {condition}")
                case 3:
                    warehouse.command(
                        f"INSERT INTO {mart.source} SELECT 'n{chance.randrange(10**6)}', id, day, v, f, s "
                        f"FROM {mart.source} WHERE {condition}"
                    )
                case 4:
                    warehouse.command(f"OPTIMIZE TABLE {mart.source} FINAL")
        run(source, target, mart)
        assert_equal(warehouse, target, mart)
