"""Random histories: events of all types that arrive late, twice, out of order and in several runs.

Each history is a platform of its own, so that many are told in the same few runs of dbt. `EVENTS` makes one event of
each type; a new mart is covered as soon as what it reads is made here.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from ingest_service.clickhouse import client as clickhouse
from ingest_service.schema import apply
from tests.dbt_project import oracle

Event = dict[str, Any]

_START = datetime(2024, 1, 20, tzinfo=UTC)
_DAYS = 45


def histories(seed: int, count: int, runs: int) -> list[dict[str, list[Event]]]:
    """For each run, by event type, what arrives before it: some 60 events of a history and run."""
    arriving: list[dict[str, list[Event]]] = [{name: [] for name in EVENTS} for _ in range(runs)]
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        platform = f"HISTORY{number:02}"
        for name, make in EVENTS.items():
            told: list[Event] = []
            for run in arriving:
                fresh = [_event(name, platform, chance, make) for _ in range(chance.randrange(12))]
                again = chance.sample(told, min(len(told), chance.randrange(4)))  # delivered twice, or replayed
                batch = [*fresh, *again, *chance.sample(fresh, len(fresh) // 4)]
                chance.shuffle(batch)
                run[name] += batch
                told += fresh
    return arriving


def event_of(platform: str, number: int, **values: Any) -> dict[str, Any]:
    """An event of one day, with the number as its id."""
    return {
        "event_id": f"00000000-0000-0000-0000-{number:012d}",
        "source": "test",
        "platform": platform,
        "event_timestamp": "2024-05-01 09:00:00",
        **values,
    }


async def land(url: str, arriving: Mapping[str, list[Event]]) -> None:
    """Insert as the ingest service does, in two parts, so that copies are not merged away at once."""
    async with clickhouse.connected(url, timeout_seconds=60) as connection:
        await apply.apply(connection)
        for name, batch in arriving.items():
            for rows in filter(None, (batch[::2], batch[1::2])):
                encoded = [json.dumps(row).encode() for row in rows]
                await connection.insert(f"_e.{name}_events", encoded, str(uuid4()), {})


async def forget(url: str, platform: str) -> None:
    """Drop what has landed of the platforms that are LIKE this; those of other tests stay."""
    async with clickhouse.connected(url, timeout_seconds=60) as connection:
        await apply.apply(connection)
        drops = (f"ALTER TABLE _e.{name}_events DELETE WHERE platform LIKE '{platform}'" for name in EVENTS)
        await asyncio.gather(*map(connection.command, drops))  # each waits for the server's next turn


def _event(name: str, platform: str, chance: random.Random, make: Callable[[random.Random], Event]) -> Event:
    source = {} if name == "scrape_request_log" else {"source": chance.choice(["graphapi", "rapidapi"])}
    return {
        "event_id": str(UUID(int=chance.getrandbits(128))),
        **source,
        "platform": platform,
        "event_timestamp": _moment(chance),
        **make(chance),
    }


def _moment(chance: random.Random) -> str:
    """Hours, so that ties are many; most of them near the end."""
    hours = 24 * _DAYS - int(24 * _DAYS * chance.random() ** 3)
    return (_START + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")


def metrics(chance: random.Random, names: tuple[str, ...]) -> Event:
    """Some of these metrics: small ones that tie, none, null, negative, too large, text and true."""
    absurd = [None, 0, -5, 2**63, 2**63 - 1, "12", "many", True, 1e300, 0.5]
    return {
        name: chance.choice(absurd) if chance.random() < 0.2 else chance.randrange(500)
        for name in names
        if chance.random() < 0.7
    }


def _some(chance: random.Random, letters: str) -> str:
    return chance.choice(letters)


def _profile(chance: random.Random) -> Event:
    return {
        "profile_id": _some(chance, "pqrst"),
        "handle": chance.choice([None, "before", "after", ""]),
        "metrics": metrics(chance, oracle.PROFILE_COUNTS + oracle.PROFILE_AVERAGES),
        "dimensions": {
            "category": chance.choice(["Food", "Travel", None, 7]),
            "country": chance.choice(["IN", "US", ""]),
            "is_verified": chance.choice([True, False, None]),
            "bio": chance.choice(["cook", "", None]),
            "handle": chance.choice(["dimension", "", None]),
        },
    }


def _post(chance: random.Random) -> Event:
    return {
        "profile_id": _some(chance, "pqr"),
        "shortcode": _some(chance, "abcdef"),
        "handle": chance.choice([None, "before", "after"]),
        "publish_time": chance.choice([None, _moment(chance)]),
        "metrics": metrics(chance, oracle.POST_COUNTS + oracle.POST_AVERAGES),
        "dimensions": {"post_type": chance.choice(["image", "reel"])},
    }


def _affiliate_order(chance: random.Random) -> Event:
    return {
        "order_id": str(chance.randrange(8)),
        "store": _some(chance, "xy"),
        "status": chance.choice(["pending", "paid", "refunded"]),
        "amount": chance.choice([0, 10, 19.99, 1234567.891]),
        "currency": chance.choice(["INR", "USD"]),
        "updated_at": _moment(chance),
        "metrics": {},
        "dimensions": {},
    }


def _order(chance: random.Random) -> Event:
    return {
        "platform_order_id": str(chance.randrange(8)),
        "store": _some(chance, "xy"),
        "metrics": {},
        "dimensions": {},
    }


def _post_activity(chance: random.Random) -> Event:
    return {
        "activity_type": chance.choice(["like", "comment"]),
        "actor_profile_id": _some(chance, "abcd"),
        "shortcode": _some(chance, "abcdef"),
        "profile_id": chance.choice([None, "p", "q"]),
    }


def _yt_activity(chance: random.Random) -> Event:
    return {
        "activity_id": str(chance.randrange(4)),
        "activity_type": chance.choice(["upload", "like"]),
        "actor_channel_id": _some(chance, "cdef"),
        "shortcode": chance.choice([None, *"abcdef"]),
    }


def _sentiment(chance: random.Random) -> Event:
    return {
        "shortcode": _some(chance, "abcdef"),
        "comment_id": str(chance.randrange(4)),
        "comment": chance.choice([None, "love this!", ""]),
        "sentiment": chance.choice(["positive", "neutral", "negative", "mixed"]),
        "score": chance.choice([-1, 1, 0, 0.1, 0.2, 0.3, -0.7, 1e-17]),
    }


def _relationship(chance: random.Random) -> Event:
    return {
        "source_profile_id": _some(chance, "pqrst"),
        "target_profile_id": _some(chance, "pqrst"),
        "relationship_type": chance.choice(["follower", "following", "subscription"]),
    }


def _scrape_request(chance: random.Random) -> Event:
    """Within hours of one morning, so that several events of a request share one."""
    at = f"2024-02-01 {chance.randrange(6, 10):02}:{chance.choice(['00:00', '20:00', '59:59.999999'])}"
    return {
        "event_timestamp": at,
        "scl_id": chance.choice([1, 2, 3, 2**64 - 1]),
        "flow": chance.choice(["refresh_profile_by_handle", "refresh_orders"]),
        "params": {"handle": "a"},
        "status": chance.choice(["PENDING", "PROCESSING", "COMPLETE", "FAILED", "FAILED", "failed", "LOST"]),
        "priority": chance.choice([None, 1]),
        "reason": chance.choice([None, "banned", "timeout", "429 from source", ""]),
        "picked_at": chance.choice([None, at, _moment(chance), "2024-02-01 09:15:00.5"]),
        "expires_at": chance.choice([None, _moment(chance)]),
    }


def _trace(chance: random.Random) -> Event:
    """Few traces over many days: most of their days are left when a newer version comes."""
    return {
        "trace_id": str(chance.randrange(12)),
        "host_name": "beat-1",
        "service_name": chance.choice(["beat", "coffee"]),
        "method": "GET",
        "uri": chance.choice(["/v1/posts", "/v1/posts?page=2", "/v1/profile", ""]),
        "status_code": chance.choice([200, 204, 404, 500, 0, -1]),
        "duration_ms": chance.choice([0, 0.1, 7.5, 20, 350, 1e300, -3]),
        "started_at": _moment(chance),
    }


def _asset(chance: random.Random) -> Event:
    """Few assets, so that some have several events on a day."""
    return {
        "asset_id": str(chance.randrange(3)),
        "asset_type": chance.choice(["image", "video"]),
        "entity_type": chance.choice(["post", "profile"]),
        "entity_id": _some(chance, "ab"),
        "url": "https://cdn.example.com/a.jpg",
        "status": chance.choice(["pending", "uploaded", "failed"]),
    }


EVENTS: dict[str, Callable[[random.Random], Event]] = {
    "profile_log": _profile,
    "post_log": _post,
    "post_activity_log": _post_activity,
    "sentiment_log": _sentiment,
    "profile_relationship_log": _relationship,
    "yt_profile_relationship_log": _relationship,
    "yt_activity_log": _yt_activity,
    "scrape_request_log": _scrape_request,
    "order_log": _order,
    "affiliate_order": _affiliate_order,
    "trace_log": _trace,
    "asset_log": _asset,
}
