"""Watermarks: those of an earlier release, and those of hosts whose clocks differ."""

import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from ingest_service.clickhouse import client as clickhouse
from ingest_service.schema import apply
from tests.harness import clocks
from tests.dbt_project import dbt
from tests.dbt_project.histories import EVENTS, forget, land
from tests.harness.running import query

BEFORE = """
CREATE TABLE warehouse.refresh_watermarks (model String, arrived_until DateTime64(3, 'UTC'), invocation String)
ENGINE = ReplacingMergeTree(arrived_until) ORDER BY model
"""


async def test_watermarks_of_an_earlier_release_are_kept_and_recorded_on(
    stack: Mapping[str, str], tmp_path: Path
) -> None:
    async with clickhouse.connected(stack["CLICKHOUSE_URL"], timeout_seconds=60) as connection:
        await apply.apply(connection)
    url = stack["GCC_DBT_CLICKHOUSE_URL"]
    query(url, "CREATE DATABASE IF NOT EXISTS warehouse")
    query(url, "DROP TABLE IF EXISTS warehouse.refresh_watermarks SYNC")
    query(url, BEFORE)
    for model in ("another", "mart_post_performance"):  # which is a view now, without a watermark
        query(url, f"INSERT INTO warehouse.refresh_watermarks VALUES ('{model}', '2024-05-01 00:00:00', 'of before')")
    outcomes = dbt.run(stack, tmp_path, "run", "--select", "int_platform_days")
    assert set(outcomes.values()) == {"success"}, outcomes
    recorded = query(url, "SELECT model FROM warehouse.refresh_watermarks ORDER BY model")
    assert recorded.split() == ["another", "int_platform_days"]


_GREEN = {"success", "pass", "warn", "no-op"}  # other tests' events may be odd, which is a warning


@pytest.fixture
async def url(stack: Mapping[str, str]) -> AsyncIterator[str]:
    """ClickHouse for dbt's user; the events of these tests are gone at the end."""
    await land(stack["CLICKHOUSE_URL"], {})
    yield stack["GCC_DBT_CLICKHOUSE_URL"]
    await forget(stack["CLICKHOUSE_URL"], "CLOCKS %")


async def _arrive(stack: Mapping[str, str], platform: str, number: int) -> None:
    """Ten more traces arrive."""
    chance = random.Random(number)
    event = {"platform": platform, "source": "test", "event_timestamp": "2024-02-01 10:00:00"}
    traces = [
        {**event, "event_id": str(uuid4()), **EVENTS["trace_log"](chance), "trace_id": f"{number} {trace}"}
        for trace in range(10)
    ]
    await land(stack["CLICKHOUSE_URL"], {"trace_log": traces})


@pytest.mark.skipif(bool(clocks.why_not()), reason=clocks.why_not())
async def test_what_arrives_is_in_the_mart_after_the_next_refresh_though_the_clock_of_dbts_host_is_ahead(
    stack: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    for number in (1, 2):
        await _arrive(stack, "CLOCKS AHEAD", number)
        outcomes = dbt.run(stack, tmp_path, "build", "--select", "+mart_trace_latency", clock_ahead=1_200)
        assert set(outcomes.values()) <= _GREEN, outcomes
        traces = query(url, "SELECT sum(traces) FROM warehouse.mart_trace_latency WHERE platform = 'CLOCKS AHEAD'")
        assert int(traces) == 10 * number


async def test_a_watermark_from_the_future_is_forgotten_and_everything_looked_at_again(
    stack: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    """As an earlier release recorded them by a clock ahead, and as they all are once ClickHouse's is set back."""
    await _arrive(stack, "CLOCKS BACK", 1)
    dbt.run(stack, tmp_path, "run", "--select", "stg_beat_trace_log int_traces")
    query(
        url,
        "INSERT INTO warehouse.refresh_watermarks (model, arrived_since, arrived_until, invocation)"
        " VALUES ('int_traces', now64(3), now64(3) + toIntervalMinute(20), 'ahead')",
    )
    await _arrive(stack, "CLOCKS BACK", 2)
    dbt.run(stack, tmp_path, "run", "--select", "int_traces")
    assert int(query(url, "SELECT count() FROM warehouse.int_traces WHERE platform = 'CLOCKS BACK'")) == 20
    assert int(query(url, "SELECT count() FROM warehouse.refresh_watermarks WHERE arrived_until > now64(3)")) == 0
