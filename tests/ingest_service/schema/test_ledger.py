"""The ledger, _e.ingest_batches, says of every batch what became of it, and adds up to the tables."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.orders import order, publish
from tests.harness.running import Table, eventually, query, service

Environment = Mapping[str, str]


def batches(environment: Environment) -> list[dict[str, Any]]:
    answer = query(
        environment["CLICKHOUSE_URL"],
        "SELECT *, toUnixTimestamp64Milli(first_received) AS first, toUnixTimestamp64Milli(last_received) AS last "
        "FROM _e.ingest_batches ORDER BY type, landed_at FORMAT JSONEachRow",
    )
    return [json.loads(line) for line in answer.splitlines()]


def total(environment: Environment, column: str = "rows") -> int:
    return sum(int(batch[column]) for batch in batches(environment))


def test_the_ledgers_rows_add_up_to_every_table(environment: Environment, tmp_path: Path) -> None:
    simulator, began = Simulator(seed=5), time.time() * 1000
    with service(environment, tmp_path) as running:
        running.wait_ready()
        for count, (name, event_type) in enumerate(EVENT_TYPES.items(), start=1):
            publish(environment, event_type.routing_key, *(simulator.event(name) for _ in range(10 * count)))
        eventually(lambda: total(environment) == 10 * 78, what=running.log.read_text()[-1500:])
    ended = time.time() * 1000
    for count, (name, event_type) in enumerate(EVENT_TYPES.items(), start=1):
        mine = [batch for batch in batches(environment) if batch["type"] == name]
        assert sum(int(batch["rows"]) for batch in mine) == Table(environment, event_type.table).count() == 10 * count
        for batch in mine:
            assert began <= int(batch["first"]) <= int(batch["last"]) <= ended
            assert batch["min_event_time"] <= batch["max_event_time"]
            assert int(batch["bytes"]) > 100 * int(batch["rows"])
            assert batch["attempts"] == 1
            assert 0 <= int(batch["insert_ms"]) < 60_000
            assert int(batch["redelivered"]) == 0


def test_what_lands_again_after_a_crash_is_in_the_ledger_as_redelivered(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, "_e.order_log_events")
    with service({**environment, "GCC_FLUSH_SECONDS": "60"}, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", *map(order, range(100)))
        eventually(lambda: running.status("order_log")["in_flight"] == 100)
        running.kill_and_restart()
        running.wait_ready()
        eventually(lambda: running.status("order_log")["redelivered"] == 100)
        assert running.terminate() == 0
    assert table.count() == total(environment) == total(environment, "redelivered") == 100


def test_without_the_ledger_a_type_halts_and_loses_nothing(environment: Environment, tmp_path: Path) -> None:
    table, ledger = Table(environment, "_e.order_log_events"), Table(environment, "_e.ingest_batches")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        ledger.command("RENAME TABLE {} TO _e.ingest_batches_away")
        try:
            publish(environment, "order_log_events", *map(order, range(10)))
            assert eventually(lambda: running.obstacles().get("order_log")).startswith("halted: unknown_table")
        finally:
            ledger.command("RENAME TABLE _e.ingest_batches_away TO {}")
        eventually(lambda: total(environment) == 10, what=running.log.read_text()[-1500:])
        assert table.count() == 10
