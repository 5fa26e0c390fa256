"""The real file in ten slices, in the order of its events, one refresh each: the marts are those of one load."""

import asyncio
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.dbt_project import oracle
from tests.dbt_project import dbt
from tests.dbt_project.histories import forget, land

REAL = Path(__file__).parents[3] / "shared" / "data" / "youtube_trending_in.ndjson.gz"
PLATFORM = "YOUTUBE"
SLICES = 10
MARTS = (
    "mart_post_timeseries",
    "mart_post_performance",
    "mart_profile_timeseries",
    "mart_profile_growth",
    "mart_leaderboard",
    "mart_discovery",
)

pytestmark = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} IS ABSENT")

Row = dict[str, Any]


@dataclass(frozen=True)
class Loads:
    """The marts' rows after ten refreshes, and after one of everything."""

    posts: list[Row]
    profiles: list[Row]
    sliced: dict[str, list[Row]]
    at_once: dict[str, list[Row]]


@pytest.fixture(scope="module")
def loads(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loads]:
    """Each slice lands, and is refreshed without an overlap, which would hide a watermark that is too late."""
    url, target = stack["CLICKHOUSE_URL"], tmp_path_factory.mktemp("real")
    with gzip.open(REAL) as lines:
        posts = [json.loads(line) for line in lines]
    profiles = channels(posts)
    asyncio.run(forget(url, PLATFORM))
    for number in range(SLICES):
        asyncio.run(land(url, {"post_log": part(posts, number), "profile_log": part(profiles, number)}))
        refresh(stack, target, *(["--full-refresh"] if number == 0 else []))
    sliced = {mart: dbt.rows(stack, mart, PLATFORM) for mart in MARTS}
    refresh(stack, target, "--full-refresh")
    yield Loads(posts, profiles, sliced, {mart: dbt.rows(stack, mart, PLATFORM) for mart in MARTS})
    asyncio.run(forget(url, PLATFORM))


def channels(posts: list[Row]) -> list[Row]:
    """The file has no events of profiles: one is made of each channel's posts of a day, its audience their likes."""
    by_day: dict[tuple[str, str], Row] = {}
    for post in posts:
        day = by_day.setdefault(
            (post["profile_id"], post["event_timestamp"]),
            {
                name: post[name]
                for name in ("source", "platform", "profile_id", "handle", "event_timestamp", "dimensions")
            }
            | {"event_id": str(uuid5(UUID(post["event_id"]), "channel")), "metrics": {"subscribers": 0}},
        )
        day["metrics"]["subscribers"] += post["metrics"]["likes"] or 0
    return list(by_day.values())


def part(events: list[Row], number: int) -> list[Row]:
    return events[len(events) * number // SLICES : len(events) * (number + 1) // SLICES]


def refresh(stack: Mapping[str, str], target: Path, *arguments: str) -> None:
    """Of what stands on posts and profiles, and what else that needs."""
    selection = ("--select", "@source:beat.post_log_events", "@source:beat.profile_log_events")
    outcomes = dbt.run(stack, target, "run", *selection, "--vars", "{overlap_seconds: 0}", *arguments)
    assert set(outcomes.values()) == {"success"}, outcomes


@pytest.mark.parametrize("mart", MARTS)
def test_ten_refreshes_end_where_one_load_does(loads: Loads, mart: str) -> None:
    assert loads.sliced[mart] == loads.at_once[mart]
    assert len(loads.at_once[mart]) > 1000


def test_every_day_of_every_post(loads: Loads) -> None:
    assert keyed(loads, "mart_post_timeseries", oracle.POST_KEY) == oracle.post_timeseries(loads.posts)


def test_what_became_of_every_post(loads: Loads) -> None:
    found = keyed(loads, "mart_post_performance", ("platform", "profile_id", "shortcode"))
    assert found == oracle.post_performance(loads.posts)


def test_every_day_of_every_profile(loads: Loads) -> None:
    assert keyed(loads, "mart_profile_timeseries", oracle.PROFILE_KEY) == oracle.profile_timeseries(loads.profiles)


def test_the_growth_of_every_profile(loads: Loads) -> None:
    """Z-scores to nine digits: the oracle's mean and deviation are exact, ClickHouse's are sums of floats."""
    found = keyed(loads, "mart_profile_growth", ("platform", "profile_id"))
    expected = oracle.profile_growth(loads.profiles, loads.posts)
    scores = {key: (found[key].pop("z_score_30d"), row.pop("z_score_30d")) for key, row in expected.items()}
    assert found == expected
    for key, (score, exact) in scores.items():
        assert score == (exact and pytest.approx(exact, rel=1e-9, abs=1e-9)), key


def test_every_place_of_every_leaderboard(loads: Loads) -> None:
    places = sorted(loads.sliced["mart_leaderboard"], key=lambda row: [row[name] for name in oracle.LEADERBOARD_KEY])
    assert places == oracle.leaderboard(loads.posts, loads.profiles)


def keyed(loads: Loads, mart: str, key: Iterable[str]) -> dict[tuple[Any, ...], Row]:
    """By its grain, after the ten refreshes."""
    return {tuple(row[name] for name in key): dict(row) for row in loads.sliced[mart]}
