"""A mart is served whole or not at all: whatever happens, readers see one complete version."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.clickhouse import ClickHouse, ClickHouseFailed
from gcc_platform.sync import state, versions
from gcc_platform.sync.column_types.columns import NoSuchMart
from gcc_platform.sync.declared_indexes import Index, Key
from gcc_platform.sync.full import IncompleteCopy
from gcc_platform.sync.layout import GrainBroken
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.outcome import Options
from gcc_platform.sync.syncing import sync
from gcc_platform.sync.versions import AlreadySyncing
from gcc_platform.sync.views import view

ROWS = 20_000
BRIEF = view.SwapRetry(lock_milliseconds=20, pause_seconds=0.01, attempts=3)


def count(connection: psycopg.Connection, mart: Mart) -> int:
    [(rows,)] = connection.execute(f"SELECT count(*) FROM serving.{mart.name}").fetchall()
    return int(rows)


def served_table(connection: psycopg.Connection, mart: Mart) -> str:
    served = state.read(connection, mart.name)
    assert served is not None
    return served.table_name


def tables_of(connection: psycopg.Connection, mart: Mart) -> list[str]:
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'serving_data' AND starts_with(tablename, %s)",
        (f"{mart.name}__",),
    )
    return [row[0] for row in rows]


def test_readers_during_swaps_see_neither_an_error_nor_part_of_a_version(
    stack: Mapping[str, str],
    source: ClickHouse,
    target: psycopg.Connection,
    warehouse: Client,
    make_mart: Callable[..., Mart],
) -> None:
    mart = make_mart("id UInt64, version Int32", f"number, 0 FROM numbers({ROWS})")
    sync(source, target, mart)
    stop = threading.Event()
    seen: set[tuple[int, int, int]] = set()
    errors: list[str] = []

    def read() -> None:
        with postgres.connect(stack["POSTGRES_URL"], "reader") as connection:
            while not stop.is_set():
                try:
                    row = connection.execute(
                        f"SELECT count(*), min(version), max(version) FROM serving.{mart.name}"
                    ).fetchone()
                    seen.add(row or (0, -1, -1))
                except psycopg.Error as error:
                    errors.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for version in range(1, 9):
        make_mart("id UInt64, version Int32", f"number, {version} FROM numbers({ROWS})")
        sync(source, target, mart)
    stop.set()
    for reader in readers:
        reader.join()

    assert errors == []
    assert {rows for rows, _, _ in seen} == {ROWS}
    assert all(first == last for _, first, last in seen)
    assert max(last for _, _, last in seen) == 8


def test_a_snapshot_older_than_the_swap_still_reads_rows(
    stack: Mapping[str, str], source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", f"number FROM numbers({ROWS})")
    sync(source, target, mart)
    with postgres.connect(stack["POSTGRES_URL"], "reader") as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with reader.transaction():
            reader.execute("SELECT 1 FROM pg_class LIMIT 1")
            sync(source, target, mart)
            assert count(reader, mart) == ROWS


def test_a_stream_that_breaks_leaves_the_old_version(
    source: ClickHouse, target: psycopg.Connection, warehouse: Client, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64, v Int64", "number, 1 FROM numbers(5)")
    sync(source, target, mart)
    # A view that fails at its last row, after megabytes have been sent; only as it is sent, not as it is compared.
    warehouse.command(f"DROP TABLE warehouse.{mart.name}")
    fails = "throwIf(number = 1999999 AND getSetting('date_time_output_format') = 'iso')"
    warehouse.command(
        f"CREATE VIEW warehouse.{mart.name} AS SELECT number AS id, toInt64({fails}) AS v "
        "FROM numbers(2000000) SETTINGS max_block_size = 10000"
    )

    with pytest.raises(ClickHouseFailed, match="aborted"):
        sync(source, target, mart)

    assert count(target, mart) == 5
    assert len(tables_of(target, mart)) == 1


def test_rows_that_get_lost_leave_the_old_version(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart], monkeypatch: pytest.MonkeyPatch
) -> None:
    mart = make_mart("id UInt64", "number FROM numbers(5)")
    sync(source, target, mart)
    make_mart("id UInt64", "number + 1 FROM numbers(5)")
    monkeypatch.setattr(source, "tab_separated", lambda _query: iter([b"1\n2\n"]))

    with pytest.raises(IncompleteCopy, match="sent 2 rows, and the mart had 5"):
        sync(source, target, mart)

    assert count(target, mart) == 5


def test_a_broken_grain_is_named_and_leaves_the_old_version(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", "number FROM numbers(5)")
    sync(source, target, mart)
    make_mart("id UInt64", "number % 4 FROM numbers(5)")

    with pytest.raises(GrainBroken, match=r"grain \(id\).*Key \(id\)=\(0\) is duplicated"):
        sync(source, target, mart)

    assert count(target, mart) == 5


def test_a_mart_that_is_not_there_is_named(source: ClickHouse, target: psycopg.Connection) -> None:
    with pytest.raises(NoSuchMart, match=r"warehouse\.mart_of_dreams"):
        sync(source, target, Mart("mart_of_dreams", ("id",)))


def test_an_empty_mart_is_served_empty(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64")
    assert sync(source, target, mart).rows == 0
    assert count(target, mart) == 0


def test_the_version_has_primary_key_indexes_and_statistics(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    made = make_mart("id UInt64, v Int64", f"number, number FROM numbers({ROWS})")
    mart = Mart(made.name, ("id",), (Index((Key("v"), Key("id"))),))

    snapshot = sync(source, target, mart)

    table = served_table(target, mart)
    indexes = target.execute(
        "SELECT indexdef FROM pg_indexes WHERE tablename = %s ORDER BY indexdef", (table,)
    ).fetchall()
    assert [definition.rpartition(" ")[0].split()[1] for (definition,) in indexes] == ["INDEX", "UNIQUE"]
    assert target.execute("SELECT reltuples FROM pg_class WHERE relname = %s", (table,)).fetchone() == (ROWS,)
    assert snapshot.rows == ROWS
    assert snapshot.table_bytes > ROWS * 8


def test_new_columns_keep_grants_and_views_over_the_mart(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64, v Int64", "1, 2")
    sync(source, target, mart)
    target.execute(f"GRANT SELECT ON serving.{mart.name} TO PUBLIC")
    target.execute(f"CREATE VIEW serving.{mart.name}_over AS SELECT v FROM serving.{mart.name}")
    make_mart("id UInt64, fresh String, v Int64", "1, 'new', 3")

    sync(source, target, mart)

    assert target.execute(f"SELECT id, v, fresh FROM serving.{mart.name}").fetchall() == [(1, 3, "new")]
    assert target.execute(f"SELECT v FROM serving.{mart.name}_over").fetchall() == [(3,)]
    assert _public_may_select(target, mart)


def test_a_retyped_column_keeps_grants_and_views_over_the_mart(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64, v Int64, gone Int8", "1, 2, 0")
    sync(source, target, mart)
    target.execute(f"GRANT SELECT ON serving.{mart.name} TO PUBLIC")
    target.execute(f"CREATE VIEW serving.{mart.name}_over AS SELECT v FROM serving.{mart.name}")
    make_mart("id UInt64, v String", "1, 'text now'")

    sync(source, target, mart)

    assert target.execute(f"SELECT v FROM serving.{mart.name}_over").fetchall() == [("text now",)]
    assert target.execute(f"SELECT * FROM serving.{mart.name}").fetchall() == [(1, "text now")]
    assert _public_may_select(target, mart)


def _public_may_select(connection: psycopg.Connection, mart: Mart) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_class, aclexplode(relacl) "
        "WHERE relname = %s AND grantee = 0 AND privilege_type = 'SELECT'",
        (mart.name,),
    ).fetchone()
    return row == (1,)


def test_leftovers_go_with_the_next_sync(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", "1")
    sync(source, target, mart)
    target.execute(f"CREATE TABLE serving_data.{versions.table_name(mart.name, versions.new_version())} ()")
    neighbour = f"serving_data.{mart.name}__copy_by_hand"
    target.execute(f"CREATE TABLE {neighbour} ()")

    sync(source, target, mart)

    assert sorted(tables_of(target, mart)) == sorted([served_table(target, mart), neighbour.partition(".")[2]])


def test_an_old_version_somebody_reads_is_left_to_the_next_sync(
    stack: Mapping[str, str], source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", "1")
    sync(source, target, mart)
    with postgres.connect(stack["POSTGRES_URL"], "reader") as reader, reader.transaction():
        reader.execute(f"SELECT 1 FROM serving_data.{served_table(target, mart)}")
        make_mart("id UInt64", "2")
        sync(source, target, mart)
        assert len(tables_of(target, mart)) == 2

    sync(source, target, mart)

    assert len(tables_of(target, mart)) == 1


def test_a_long_reader_delays_the_swap_but_not_the_copy(
    stack: Mapping[str, str],
    source: ClickHouse,
    target: psycopg.Connection,
    make_mart: Callable[..., Mart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mart = make_mart("id UInt64", "1")
    sync(source, target, mart)
    copies = []
    stream = source.tab_separated
    monkeypatch.setattr(source, "tab_separated", lambda query: copies.append(query) or stream(query))
    locked = threading.Event()

    def read_for_a_second() -> None:
        with postgres.connect(stack["POSTGRES_URL"], "reader") as reader, reader.transaction():
            count(reader, mart)
            locked.set()
            time.sleep(1)

    reader = threading.Thread(target=read_for_a_second)
    reader.start()
    locked.wait()
    make_mart("id UInt64", "2")
    snapshot = sync(source, target, mart)
    reader.join()

    assert snapshot.swap_attempts > 1
    assert len(copies) == 1
    assert snapshot.seconds > 0.5


def test_a_reader_without_end_makes_the_swap_give_up(
    stack: Mapping[str, str], source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", "number FROM numbers(5)")
    sync(source, target, mart)
    with postgres.connect(stack["POSTGRES_URL"], "reader") as reader, reader.transaction():
        count(reader, mart)
        make_mart("id UInt64", "number + 1 FROM numbers(5)")
        with pytest.raises(view.ViewBusy, match="locked at each of 3 attempts"):
            sync(source, target, mart, Options(retry=BRIEF))
        assert count(reader, mart) == 5


def test_two_syncs_of_one_mart_the_second_fails_and_names_the_first(
    stack: Mapping[str, str], source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64", "1")
    with postgres.connect(stack["POSTGRES_URL"], "the first") as first:
        with versions.mart_lock(first, mart.name), pytest.raises(AlreadySyncing, match="the first"):
            sync(source, target, mart)
        assert sync(source, target, mart).rows == 1


_SYNC_IN_A_PROCESS = """
import sys
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.syncing import sync
from gcc_platform.resources import clickhouse, postgres
source_url, target_url, name = sys.argv[1:]
with clickhouse.connect(source_url, {}) as source, postgres.connect(target_url, "to be killed") as target:
    sync(source, target, Mart(name, ("id",)))
"""


def test_a_sync_killed_in_mid_copy_leaves_the_old_version_and_no_lock(
    stack: Mapping[str, str],
    source: ClickHouse,
    target: psycopg.Connection,
    warehouse: Client,
    make_mart: Callable[..., Mart],
) -> None:
    mart = make_mart("id UInt64, v Int64", "number, 1 FROM numbers(5)")
    sync(source, target, mart)
    warehouse.command(f"DROP TABLE warehouse.{mart.name}")
    warehouse.command(  # some 2 s of rows
        f"CREATE VIEW warehouse.{mart.name} AS SELECT number AS id, toInt64(sleepEachRow(0.00025)) AS v "
        "FROM numbers(10000) SETTINGS max_block_size = 100"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", _SYNC_IN_A_PROCESS, stack["GCC_SYNC_CLICKHOUSE_URL"], stack["POSTGRES_URL"], mart.name]
    )
    copying = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'to be killed' AND query LIKE 'COPY%'"
    _wait_until(lambda: target.execute(copying).fetchone() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert count(target, mart) == 5
    _wait_until(lambda: target.execute(copying).fetchone() is None)
    make_mart("id UInt64, v Int64", "number, 1 FROM numbers(7)")
    sync(source, target, mart)
    assert count(target, mart) == 7
    assert len(tables_of(target, mart)) == 1


def _wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_queries_say_whose_they_are(stack: Mapping[str, str], warehouse: Client) -> None:
    comment = {"mart": "mart_x", "version": versions.new_version(), "run_id": "a-run"}
    with clickhouse.connect(stack["GCC_SYNC_CLICKHOUSE_URL"], comment) as source:
        list(source.tab_separated("SELECT 1"))
        _wait_until(
            lambda: bool(
                source.rows(
                    "SELECT query FROM system.query_log WHERE query LIKE 'SELECT 1%' "
                    "AND JSONExtractString(log_comment, 'version') = {version:String}",
                    {"version": comment["version"]},
                )
            )
        )
