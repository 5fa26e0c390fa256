"""A warehouse that an earlier release built goes on after an upgrade."""

from collections.abc import Mapping
from pathlib import Path

from ingest_service import clickhouse
from ingest_service.schema import apply
from tests.dbt_project import dbt
from tests.ingest_service.running import query

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
    query(url, "INSERT INTO warehouse.refresh_watermarks VALUES ('another', '2024-05-01 00:00:00', 'of before')")
    outcomes = dbt.run(stack, tmp_path, "run", "--select", "int_platform_days")
    assert set(outcomes.values()) == {"success"}, outcomes
    recorded = query(url, "SELECT model FROM warehouse.refresh_watermarks ORDER BY model")
    assert recorded.split() == ["another", "int_platform_days"]
