"""A warehouse that an earlier release built is upgraded by the next refresh, without a full one."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.dbt_project import dbt
from tests.dbt_project.histories import Event, forget, histories, land
from tests.harness.running import query

PLATFORM = "HISTORY%"
POSTS = ("mart_post_performance", "int_profile_recent_posts", "mart_leaderboard")


@pytest.fixture
def url(stack: Mapping[str, str]) -> Iterator[str]:
    yield stack["GCC_DBT_CLICKHOUSE_URL"]
    asyncio.run(forget(stack["CLICKHOUSE_URL"], PLATFORM))


def test_mart_post_performance_becomes_a_view_and_its_readers_go_on(
    stack: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    """It was the table that int_post_performance is: here it is made so again, with the watermark it had."""
    first, then = histories(seed=7, count=4, runs=2)
    refresh(stack, tmp_path, first, "--full-refresh")
    query(url, "DROP VIEW warehouse.mart_post_performance SYNC")
    query(url, "RENAME TABLE warehouse.int_post_performance TO warehouse.mart_post_performance")
    query(
        url,
        "INSERT INTO warehouse.refresh_watermarks SELECT * REPLACE ('mart_post_performance' AS model) "
        "FROM warehouse.refresh_watermarks FINAL WHERE model = 'int_post_performance'",
    )
    query(
        url,
        "ALTER TABLE warehouse.refresh_watermarks DELETE WHERE model = 'int_post_performance' "
        "SETTINGS mutations_sync = 2",
    )

    refresh(stack, tmp_path, then)
    upgraded = {table: dbt.rows(stack, table, PLATFORM) for table in POSTS}
    refresh(stack, tmp_path, {}, "--full-refresh")
    assert upgraded == {table: dbt.rows(stack, table, PLATFORM) for table in POSTS}
    assert all(upgraded.values())


def refresh(stack: Mapping[str, str], target: Path, arriving: Mapping[str, list[Event]], *arguments: str) -> None:
    asyncio.run(land(stack["CLICKHOUSE_URL"], arriving))
    outcomes = dbt.run(stack, target, "run", "--vars", "{overlap_seconds: 0}", *arguments)
    assert set(outcomes.values()) == {"success"}, outcomes
