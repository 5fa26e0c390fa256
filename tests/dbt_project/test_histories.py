"""However events arrive, runs that take only what is new end in the same tables as building everything anew."""

import asyncio
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.dbt_project import operations_oracle
from tests.dbt_project import dbt
from tests.dbt_project.histories import EVENTS, forget, histories, land
from tests.harness.running import eventually, query

SEED = 5
HISTORIES = 20
RUNS = 4
NO_OVERLAP = ("--vars", "{overlap_seconds: 0}")  # it would hide a watermark that is too late

Rows = list[tuple[object, ...]]


@pytest.fixture(scope="module")
def told(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Rows, Rows]]]:
    """By mart, its rows after several incremental runs, one of them killed, and after one full refresh."""
    target = tmp_path_factory.mktemp("histories")
    arriving = histories(seed=SEED, count=HISTORIES, runs=RUNS)
    for number, batch in enumerate(arriving):
        asyncio.run(land(stack["CLICKHOUSE_URL"], batch))
        if number == 2:
            kill_while_it_writes(stack, target)
        run(stack, target, *(["--full-refresh"] if number == 0 else []))
    incremental = {mart: rows(stack, mart) for mart in marts(stack)}
    run(stack, target, "--full-refresh")
    yield {mart: (found, rows(stack, mart)) for mart, found in incremental.items()}
    asyncio.run(forget(stack["CLICKHOUSE_URL"], "HISTORY%"))


def run(stack: Mapping[str, str], target: Path, *arguments: str) -> None:
    outcomes = dbt.run(stack, target, "run", *NO_OVERLAP, *arguments)
    assert set(outcomes.values()) == {"success"}, outcomes


def kill_while_it_writes(stack: Mapping[str, str], target: Path) -> None:
    """SIGKILL of a run when some mart has lost rows that its new ones were to replace."""
    began = query(stack["GCC_DBT_CLICKHOUSE_URL"], "SELECT now64(6)").strip()
    process = dbt.start(stack, target, "run", *NO_OVERLAP)

    def deletes() -> bool:
        return (
            query(
                stack["GCC_DBT_CLICKHOUSE_URL"],
                "SELECT count() FROM system.mutations WHERE database = 'warehouse' AND "
                f"create_time >= toDateTime('{began[:19]}')",
            ).strip()
            != "0"
            or process.poll() is not None
        )

    eventually(deletes, 60, "a delete")
    assert process.poll() is None, "the run was over before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def marts(stack: Mapping[str, str]) -> list[str]:
    return [name for name in dbt.tables(stack) if name.startswith("mart_")]


def rows(stack: Mapping[str, str], mart: str) -> Rows:
    return [tuple(row.values()) for row in dbt.rows(stack, mart, "HISTORY%")]


def test_every_mart_has_something_to_compare(told: dict[str, tuple[Rows, Rows]]) -> None:
    assert len(told) >= 4
    assert {mart: len(anew) for mart, (_, anew) in told.items() if len(anew) < 50} == {}


def test_incremental_runs_end_where_a_full_refresh_does(told: dict[str, tuple[Rows, Rows]]) -> None:
    for mart, (incremental, anew) in told.items():
        assert incremental == anew, mart


def test_the_marts_of_operations_match_the_oracle(told: dict[str, tuple[Rows, Rows]]) -> None:
    arriving = histories(seed=SEED, count=HISTORIES, runs=RUNS)
    told_of = {name: [event for run in arriving for event in run[name]] for name in EVENTS}
    for mart, expected in (
        ("mart_trace_latency", operations_oracle.trace_latency(told_of["trace_log"])),
        ("mart_scrape_operations", operations_oracle.scrape_operations(told_of["scrape_request_log"])),
        ("mart_assets", operations_oracle.assets(told_of["asset_log"])),
    ):
        _, anew = told[mart]
        assert sorted(anew, key=str) == sorted(expected, key=str), mart
