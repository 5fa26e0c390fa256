"""The data tests find what they are for: a mart that was tampered with, and absurd numbers as they arrive."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_project import dbt
from tests.dbt_project.histories import event_of, forget, land
from tests.harness.running import query

PLATFORM = "ABSURD"
ABSURD = (-1, "12", "many", 2**63, 1e300, True, [1])

Event = dict[str, Any]
event = partial(event_of, PLATFORM)


def post(number: int, **metrics: Any) -> Event:
    return event(number, profile_id="p", shortcode=f"s{number}", metrics=metrics, dimensions={})


def profile(number: int, **metrics: Any) -> Event:
    return event(number, profile_id="p", metrics=metrics, dimensions={})


SOUND = {
    "post_log": [post(1, views=0, likes=3, engagement="0.5"), post(2, views=None, comments=0.5), post(3)],
    "profile_log": [profile(4, followers=2**63 - 1)],
}
UNSOUND = {
    "post_log": [post(10 + number, views=value) for number, value in enumerate(ABSURD)],
    "profile_log": [profile(20, followers=-3)],
    "sentiment_log": [event(30, shortcode="s1", comment_id="c", sentiment="positive", score=7)],
    "trace_log": [
        event(40, trace_id="t", host_name="h", service_name="beat", method="GET", uri="/", status_code=200)
        | {"duration_ms": -1, "started_at": "2024-05-01 09:00:00"}
    ],
    "scrape_request_log": [
        {
            name: value
            for name, value in event(60, scl_id=1, flow="f", params={}, status="LOST").items()
            if name != "source"
        }
    ],
    "affiliate_order": [
        event(50, order_id="o", store="s", status="paid", amount=-5, currency="INR", updated_at="2024-05-01 09:00:00")
        | {"metrics": {}, "dimensions": {}}
    ],
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data_tests")


@pytest.fixture(scope="module")
def sound(stack: Mapping[str, str], target: Path) -> Iterator[dict[str, str]]:
    """The outcomes of a warehouse of sound events."""
    dbt.forget(stack)
    asyncio.run(forget(stack["CLICKHOUSE_URL"], "%"))
    asyncio.run(land(stack["CLICKHOUSE_URL"], SOUND))
    yield build(stack, target, "build")
    asyncio.run(forget(stack["CLICKHOUSE_URL"], PLATFORM))


@pytest.fixture(scope="module")
def unsound(stack: Mapping[str, str], target: Path, sound: dict[str, str]) -> dict[str, str]:
    """The outcomes of the refresh after absurd ones."""
    asyncio.run(land(stack["CLICKHOUSE_URL"], UNSOUND))
    return build(stack, target, "build")


def build(stack: Mapping[str, str], target: Path, *arguments: str) -> dict[str, str]:
    """By the name of each node; without an overlap, for what has just arrived is not settled and not missed yet."""
    unit_tests = ["--exclude-resource-type", "unit_test"]
    outcomes = dbt.run(stack, target, *arguments, *unit_tests, "--vars", "{overlap_seconds: 0}")
    return {name.split(".", 2)[2]: status for name, status in outcomes.items()}


def told(outcomes: Mapping[str, str]) -> set[tuple[str, str]]:
    """The tests that did not pass, by the beginnings of their names."""
    rules = (
        "counts_are_counts",
        "arrivals_are",
        "grain",
        "nothing_is_missing",
        "range",
        "matches_source",
    )
    failed = {name: status for name, status in outcomes.items() if status not in {"success", "pass", "no-op"}}
    return {(next((rule for rule in rules if name.startswith(rule)), name), status) for name, status in failed.items()}


def test_sound_numbers_pass(sound: dict[str, str]) -> None:
    assert told(sound) == set()


def test_absurd_numbers_break_no_refresh_and_are_shown(unsound: dict[str, str]) -> None:
    assert told(unsound) == {("counts_are_counts", "warn"), ("arrivals_are", "warn")}
    assert [status for status in unsound.values() if status == "warn"] == ["warn"] * 6


def test_each_kind_of_absurd_number_is_shown(stack: Mapping[str, str], target: Path, unsound: dict[str, str]) -> None:
    """The check's own query, as dbt has compiled it, finds every one."""
    [compiled] = target.glob("compiled/**/stg_beat_post_log.yml/counts_are_counts*.sql")
    answer = query(stack["GCC_DBT_CLICKHOUSE_URL"], f"SELECT metric, events FROM ({compiled.read_text()})")
    assert answer.split("\t") == ["views", f"{len(ABSURD)}\n"]


def test_what_was_shown_is_not_shown_again(stack: Mapping[str, str], target: Path, unsound: dict[str, str]) -> None:
    assert told(build(stack, target, "build")) == set()


def test_a_row_twice_and_a_row_lost_are_found(stack: Mapping[str, str], target: Path, unsound: dict[str, str]) -> None:
    url = stack["GCC_DBT_CLICKHOUSE_URL"]
    query(url, "INSERT INTO warehouse.mart_post_timeseries SELECT * FROM warehouse.mart_post_timeseries LIMIT 1")
    query(url, "DELETE FROM warehouse.mart_orders WHERE order_id = 'o'")
    outcomes = build(stack, target, "test", "--select", "mart_post_timeseries", "mart_orders")
    assert told(outcomes) == {("grain", "fail"), ("nothing_is_missing", "fail")}
