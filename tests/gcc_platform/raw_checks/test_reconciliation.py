"""The ledger and the raw tables agree after the service, and not after anybody else."""

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gcc_platform.raw_checks import reconciliation
from gcc_platform.raw_checks.finding import Finding
from gcc_platform.raw_checks.reconciliation import Reconciled
from gcc_platform.resources.clickhouse import ClickHouse, connect
from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.emptied import empty
from tests.harness.orders import order, publish
from tests.harness.running import Table, eventually, query, run, service

ORDERS = "order_log_events"
INSERT = (
    "INSERT INTO {} (event_id, platform, platform_order_id, store, event_timestamp) "
    "SELECT generateUUIDv4(), 'SHOPIFY', toString(number), 's', now64(6) FROM numbers(7)"
)
Environment = Mapping[str, str]


@pytest.fixture(scope="module")
def initialised(stack: Environment) -> Environment:
    assert run(stack, "init").returncode == 0
    return stack


@pytest.fixture
def environment(initialised: Environment) -> Environment:
    empty(initialised)
    return initialised


@pytest.fixture
def clickhouse(initialised: Environment) -> Iterator[ClickHouse]:
    with connect(initialised["GCC_SYNC_CLICKHOUSE_URL"], {"test": "reconciliation"}) as connection:
        yield connection


@pytest.fixture
def orders(environment: Environment, tmp_path: Path) -> Table:
    """The table of orders, with a hundred that came through the service."""
    table = Table(environment, f"_e.{ORDERS}")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS, *map(order, range(100)))
        eventually(lambda: table.count() == 100)
        assert running.terminate() == 0
    return table


def look(clickhouse: ClickHouse, *tables: str, minutes: float = 5) -> list[Finding]:
    """The results in some minutes, when what has just landed is complete."""
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    found = reconciliation.measure(clickhouse, tables, now)
    return [reconciliation.check(found[table]) for table in tables]


def test_every_table_agrees_with_the_ledger_on_what_the_service_has_inserted(
    environment: Environment, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    simulator = Simulator(seed=7)
    with service(environment, tmp_path) as running:
        running.wait_ready()
        for name, event_type in EVENT_TYPES.items():
            publish(environment, event_type.routing_key, *(simulator.event(name) for _ in range(500)))
        landed = "SELECT sum(rows) FROM _e.ingest_batches"
        eventually(lambda: int(query(environment["CLICKHOUSE_URL"], landed)) == 500 * len(EVENT_TYPES))
    for finding in look(clickhouse, *(each.routing_key for each in EVENT_TYPES.values())):
        assert finding.passed, finding.description
        assert finding.numbers["landed"] == finding.numbers["in_table"] == 500


def test_what_is_redelivered_after_a_crash_and_merged_is_explained(
    environment: Environment, clickhouse: ClickHouse, orders: Table, tmp_path: Path
) -> None:
    with service({**environment, "GCC_FLUSH_SECONDS": "60"}, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS, *map(order, range(50)))  # stored already
        eventually(lambda: running.status("order_log")["in_flight"] == 50)
        running.kill_and_restart()
        running.wait_ready()
        eventually(lambda: running.status("order_log")["redelivered"] == 50)
        assert running.terminate() == 0
    orders.command("OPTIMIZE TABLE {} FINAL")
    [finding] = look(clickhouse, ORDERS)
    assert finding.passed, finding.description
    assert (finding.numbers["landed"], finding.numbers["missing"], finding.numbers["redelivered"]) == (150, 50, 50)


def test_rows_deleted_by_hand_fail_with_their_number(clickhouse: ClickHouse, orders: Table) -> None:
    orders.command("DELETE FROM {} WHERE platform_order_id IN ('O1', 'O2', 'O3')")
    [finding] = look(clickhouse, ORDERS)
    assert not finding.passed
    assert finding.numbers["missing"] == 3
    assert "100 rows landed in" in finding.description
    assert "1 statements deleted or changed rows; 3 are not in the table, 0 were redelivered" in finding.description


def test_events_that_are_published_again_are_no_loss(
    environment: Environment, clickhouse: ClickHouse, orders: Table, tmp_path: Path
) -> None:
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS, *map(order, range(100)))
        eventually(lambda: running.status("order_log")["landed"] == 100)
        assert running.terminate() == 0
    orders.command("OPTIMIZE TABLE {} FINAL")
    [finding] = look(clickhouse, ORDERS)
    assert finding.passed, finding.description
    assert "200 rows landed in" in finding.description
    assert "100 are not in the table, 0 were redelivered: they repeat an event" in finding.description


def test_a_table_that_was_emptied_fails(clickhouse: ClickHouse, orders: Table) -> None:
    orders.command("TRUNCATE TABLE {}")
    [finding] = look(clickhouse, ORDERS)
    assert not finding.passed
    assert "the table has none of them" in finding.description


def test_rows_inserted_beside_the_service_fail_with_their_number(clickhouse: ClickHouse, orders: Table) -> None:
    orders.command(INSERT)
    [finding] = look(clickhouse, ORDERS)
    assert not finding.passed
    assert "107 rows landed" in finding.description
    assert "7 were not inserted by gcc-ingest" in finding.description


def test_rows_that_the_ledger_never_saw_fail_with_their_number(
    environment: Environment, clickhouse: ClickHouse, orders: Table
) -> None:
    orders.command("CREATE TABLE _e.orders_away AS {}")
    try:
        query(environment["CLICKHOUSE_URL"], INSERT.format("_e.orders_away"))
        orders.command("ALTER TABLE {} ATTACH PARTITION ID '" + f"{datetime.now(UTC):%Y%m}' FROM _e.orders_away")
    finally:
        query(environment["CLICKHOUSE_URL"], "DROP TABLE _e.orders_away")
    [finding] = look(clickhouse, ORDERS)
    assert not finding.passed
    assert finding.numbers["surplus"] == 7
    assert "the table has 107, 7 more" in finding.description


def test_the_last_two_minutes_and_what_is_older_than_an_hour_are_not_looked_at(
    clickhouse: ClickHouse, orders: Table
) -> None:
    orders.command("TRUNCATE TABLE {}")
    assert [look(clickhouse, ORDERS, minutes=minutes)[0].passed for minutes in (0, 5, 55, 70)] == [
        True, False, False, True
    ]  # fmt: skip


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_insert_that_a_retry_completes_later_is_explained_at_both_ends(
    environment: Environment, clickhouse: ClickHouse, orders: Table, attempts: int
) -> None:
    query(environment["CLICKHOUSE_URL"], "TRUNCATE TABLE _e.ingest_batches")
    query(
        environment["CLICKHOUSE_URL"],
        "INSERT INTO _e.ingest_batches (type, batch, rows, attempts, last_received, landed_at) "
        f"SELECT 'order_log', 'x', 100, {attempts}, now64(3) - 60, now64(3) + 600",
    )
    found = [look(clickhouse, ORDERS, minutes=minutes)[0].passed for minutes in (5, 20, 66)]
    assert found == ([True, True, True] if attempts == 2 else [False, True, False])


def test_it_passes_at_any_time_while_the_service_inserts_and_clickhouse_merges(
    environment: Environment, clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_COMPLETE_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(reconciliation, "WINDOW", timedelta(seconds=30))
    table, stop = Table(environment, f"_e.{ORDERS}"), threading.Event()

    def merge() -> None:
        while not stop.is_set():
            table.command("OPTIMIZE TABLE {} FINAL")

    merging = threading.Thread(target=merge)
    with service(environment, tmp_path) as running:
        running.wait_ready()
        merging.start()
        try:
            for number in range(40):
                publish(environment, ORDERS, *map(order, range(100 * number, 100 * number + 100)))
                [finding] = look(clickhouse, ORDERS, minutes=0)
                assert finding.passed, finding.description
        finally:
            stop.set()
            merging.join()


def test_nothing_landed_is_well() -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    finding = reconciliation.check(Reconciled(now - timedelta(hours=1), now))
    assert finding.passed
    assert finding.description == "0 rows landed in 0 inserts from 11:00 to 12:00 UTC"
