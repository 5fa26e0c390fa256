"""The warehouse, built once by dbt on a real ClickHouse from random events of a platform nobody else uses."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.dbt_project import oracle
from tests.dbt_project import dbt
from tests.dbt_project.histories import forget, land

PLATFORM = "ORACLE"

Event = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Build:
    """What dbt made of the events."""

    outcomes: dict[str, str]
    """The status of every node by its unique id."""
    profile_events: list[Event]
    post_events: list[Event]
    sentiment_events: list[Event]
    tables: dict[str, list[Row]]
    """The rows of each table for these events' platform, read at once: other tests build on the same servers."""

    def rows(self, table: str) -> list[Row]:
        """Copies of a table's rows, for a test to take apart."""
        return [dict(row) for row in self.tables[table]]


@pytest.fixture(scope="package")
def build(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """`dbt build`, unit tests included: they read the types of their inputs from the server."""
    chance = random.Random(20180614)
    posts = _twice([*(_post(chance) for _ in range(3000)), *_old_posts(chance)], chance)
    profiles = _twice([_profile(chance) for _ in range(1500)], chance)
    judgements = _twice([_judgement(chance) for _ in range(1000)], chance)
    arriving = {"post_log": posts, "profile_log": profiles, "sentiment_log": judgements}
    asyncio.run(land(stack["CLICKHOUSE_URL"], arriving))

    target = tmp_path_factory.mktemp("warehouse")
    outcomes = dbt.run(stack, target, "build", "--full-refresh")
    yield Build(
        outcomes, profiles, posts, judgements, {name: dbt.rows(stack, name, PLATFORM) for name in dbt.tables(stack)}
    )

    asyncio.run(forget(stack["CLICKHOUSE_URL"], PLATFORM))


def _twice(events: list[Event], chance: random.Random) -> list[Event]:
    """The events and copies of some of them, in no order: as an at-least-once delivery lands them."""
    delivered = [*events, *chance.sample(events, len(events) // 5)]
    chance.shuffle(delivered)
    return delivered


def _post(chance: random.Random) -> Event:
    keys = {"profile_id": chance.choice("pqr"), "shortcode": chance.choice("abcdefghijklmnop")}
    published = chance.choice([None, _timestamp(chance), _timestamp(chance, chance.randrange(70))])
    metrics = oracle.POST_COUNTS + oracle.POST_AVERAGES
    return {**keys, "publish_time": published, **_snapshot(chance, metrics)}


def _old_posts(chance: random.Random) -> list[Event]:
    """One post through more months than ClickHouse lets one insert into partitions of, unless told otherwise."""
    keys = {"profile_id": "old", "shortcode": "old"}
    months = [(2005 + month // 12, month % 12 + 1) for month in range(120)]
    return [_post(chance) | keys | {"event_timestamp": f"{year}-{month:02}-01 00:00:00"} for year, month in months]


def _profile(chance: random.Random) -> Event:
    """Of some that have posts, of some that have none."""
    metrics = oracle.PROFILE_COUNTS + oracle.PROFILE_AVERAGES
    return {
        "profile_id": chance.choice("pqr") if chance.random() < 0.1 else str(int(60 * chance.random() ** 2)),
        **_snapshot(chance, metrics),
        "handle": chance.choice([None, "before", "after", "d'après", ""]),
        "event_timestamp": _timestamp(chance, chance.choice([0, chance.randrange(120)])),
        "dimensions": {
            "category": chance.choice(["Food", "Travel", None, 7]),
            "country": chance.choice(["IN", "US", "", None, 7]),
            "is_verified": chance.choice([True, False, None, "true", 1]),
            "bio": chance.choice(["cook", "d'après", "", None, ["x"]]),
            "handle": chance.choice(["dimension", "", None, 7]),
        },
    }


def _judgement(chance: random.Random) -> Event:
    """Of a comment on one of the posts, or on one that nobody crawled."""
    return {
        **_happening(chance),
        "shortcode": chance.choice("abcdefghijklmnopqrs"),
        "comment_id": str(chance.randrange(30)),
        "sentiment": chance.choice(["positive", "neutral", "negative", "mixed"]),
        "score": chance.choice([0, 1, -1, 0.1, 0.2, 0.3, -0.7, 1e-17]),
    }


def _snapshot(chance: random.Random, metrics: tuple[str, ...]) -> Event:
    return {
        **_happening(chance),
        "handle": chance.choice([None, "before", "after", "d'après"]),
        "metrics": {name: _number(chance) for name in metrics if chance.random() < 0.5},
        "dimensions": {},
    }


def _happening(chance: random.Random) -> Event:
    return {
        "event_id": str(UUID(int=chance.getrandbits(128))),
        "source": "test",
        "platform": PLATFORM,
        "event_timestamp": _timestamp(chance),
    }


def _timestamp(chance: random.Random, days_before: int = 0) -> str:
    """Half-hours around the end of a leap February, so that ties are many; in each notation the contract allows."""
    at = datetime(2024, 2, 27, 22) - timedelta(days=days_before) + timedelta(minutes=30 * chance.randrange(150))
    notations = (" ", "T"), ("", ".5", ".000001"), ("", "Z", "+05:30", "-03:00")
    separator, fraction, zone = (chance.choice(choices) for choices in notations)
    return f"{at.isoformat(separator)}{fraction}{zone}"


def _number(chance: random.Random) -> float | None:
    few = chance.randrange(10)  # equal values, for ties in rank
    return chance.choice([None, 0, few, chance.randrange(10**6), -chance.random() * 10, 2**63 - 1])
