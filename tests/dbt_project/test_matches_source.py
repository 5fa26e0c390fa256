"""What somebody changed by hand in an incremental mart is found, with its key and both values, until it is rebuilt."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gcc_platform.resources.clickhouse import connect
from gcc_platform.resources.dbt_examples import examples
from tests.dbt_project import dbt
from tests.dbt_project.histories import event_of, forget, land
from tests.harness.running import query

PLATFORM = "BY_HAND"
Event = dict[str, Any]
event = partial(event_of, PLATFORM)


def comment(number: int) -> Event:
    return event(number, shortcode=f"s{number}", comment_id="c", sentiment="positive", score=1)


def order(number: int) -> Event:
    values = {"order_id": f"o{number}", "store": "s", "status": "paid", "amount": 5, "currency": "INR"}
    return event(number, **values, updated_at="2024-05-01 09:00:00", metrics={}, dimensions={})


EVENTS = {
    "sentiment_log": [comment(number) for number in range(1, 6)],
    "affiliate_order": [order(number) for number in range(11, 16)],
    "profile_log": [event(21, profile_id="p", metrics={"followers": 10}, dimensions={"handle": "h"})],
    "post_log": [event(31, profile_id="p", shortcode="s", metrics={"views": 1}, dimensions={})],
    "asset_log": [
        event(41, entity_id="e", asset_id="a", entity_type="POST", asset_type="IMAGE", url="u", status="UPLOADED")
    ],
    "profile_relationship_log": [
        event(51, source_profile_id="p", target_profile_id="q", relationship_type="FOLLOWS", metrics={}, dimensions={})
    ],
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matches_source")


@pytest.fixture(scope="module")
def url(stack: Mapping[str, str], target: Path) -> Iterator[str]:
    """A warehouse in which nobody has changed anything, and dbt's access to it."""
    dbt.forget(stack)
    asyncio.run(forget(stack["CLICKHOUSE_URL"], "%"))
    asyncio.run(land(stack["CLICKHOUSE_URL"], EVENTS))
    assert failing(stack, target, "build", "--full-refresh") == set()
    yield stack["GCC_DBT_CLICKHOUSE_URL"]
    dbt.forget(stack)
    asyncio.run(forget(stack["CLICKHOUSE_URL"], PLATFORM))


def failing(stack: Mapping[str, str], target: Path, *arguments: str) -> set[str]:
    """The marts that do not match their sources, of all incremental ones."""
    unit_tests = ["--exclude-resource-type", "unit_test"]
    outcomes = dbt.run(stack, target, *arguments, *unit_tests, "--vars", "{overlap_seconds: 0}")
    compared = {name.split(".")[2].partition("__")[2]: status for name, status in outcomes.items() if "matches_source" in name}
    assert compared
    assert set(compared.values()) <= {"pass", "warn"}
    return {mart for mart, status in compared.items() if status == "warn"}


def shown(stack: Mapping[str, str], target: Path, mart: str) -> list[dict[str, Any]]:
    """The examples that Dagster shows of a failed test."""
    [compiled] = target.glob(f"compiled/**/matches_source__{mart}.sql")
    with connect(stack["GCC_SYNC_CLICKHOUSE_URL"], {"test": "matches_source"}) as connection:
        return [dict(row) for row in examples(connection, compiled.read_text())]


def test_a_value_changed_by_hand_is_found_in_each_run_until_the_mart_is_rebuilt(
    stack: Mapping[str, str], target: Path, url: str
) -> None:
    changed = "* REPLACE (if(shortcode = 's3', comments + 1000, comments) AS comments)"
    query(url, "CREATE TABLE warehouse.by_hand AS warehouse.mart_sentiment")
    query(url, f"INSERT INTO warehouse.by_hand SELECT {changed} FROM warehouse.mart_sentiment")
    query(url, "TRUNCATE TABLE warehouse.mart_sentiment")
    query(url, "INSERT INTO warehouse.mart_sentiment SELECT * FROM warehouse.by_hand")
    query(url, "DROP TABLE warehouse.by_hand SYNC")

    assert failing(stack, target, "build") == {"mart_sentiment"}
    assert shown(stack, target, "mart_sentiment") == [
        {"row_key": f"{PLATFORM}, s3, 2024-05-01", "name": "comments", "stored": "1001", "expected": "1"}
    ]
    assert failing(stack, target, "build") == {"mart_sentiment"}
    assert failing(stack, target, "build", "--full-refresh", "--select", "mart_sentiment") == set()


def test_a_row_without_an_event_is_found(stack: Mapping[str, str], target: Path, url: str) -> None:
    invented = "* REPLACE ('invented' AS profile_id)"
    query(url, f"INSERT INTO warehouse.mart_post_timeseries SELECT {invented} FROM warehouse.mart_post_timeseries")
    assert failing(stack, target, "build") == {"mart_post_timeseries"}
    [row] = shown(stack, target, "mart_post_timeseries")
    assert row["row_key"].startswith(f"{PLATFORM}, invented, s")
    assert (row["stored"], row["expected"]) == ("there", "no event")
    query(url, "DELETE FROM warehouse.mart_post_timeseries WHERE profile_id = 'invented'")
    assert failing(stack, target, "build") == set()


def test_a_mutation_is_found_whatever_rows_are_sampled(stack: Mapping[str, str], target: Path, url: str) -> None:
    change = "UPDATE status = status WHERE order_id = 'o11'"
    query(url, f"ALTER TABLE warehouse.mart_orders {change} SETTINGS mutations_sync = 1")
    assert failing(stack, target, "build") == {"mart_orders"}
    [row] = shown(stack, target, "mart_orders")
    assert (row["name"], row["stored"]) == ("mutation", f"({change})")
    assert failing(stack, target, "build", "--full-refresh", "--select", "mart_orders") == set()


def test_events_that_arrived_after_the_run_are_not_missed(stack: Mapping[str, str], target: Path, url: str) -> None:
    newer = event(61, shortcode="s1", comment_id="d", sentiment="negative", score=-1)
    asyncio.run(land(stack["CLICKHOUSE_URL"], {"sentiment_log": [newer]}))
    assert failing(stack, target, "test", "--select", "mart_sentiment") == set()
    assert failing(stack, target, "build") == set()
