"""Rows as crawlers of five years wrote them become the events that these crawlers meant, the same in both engines."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile

ON_SERVERS = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],  # an example takes a second: making it smaller would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**24), 10**24) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
KEYS = st.sampled_from(["followers", "likes", "handle"]) | TEXT
PAIRS = (
    st.fixed_dictionaries({"key": KEYS, "value": VALUES})
    | st.fixed_dictionaries({"key": st.none(), "value": VALUES})
    | st.fixed_dictionaries({"value": VALUES})
    | st.fixed_dictionaries({"key": KEYS})
    | VALUES
)
LISTS = st.lists(PAIRS, max_size=5) | st.dictionaries(KEYS, VALUES, max_size=3) | VALUES
TIMES = st.datetimes(datetime(2005, 1, 1), datetime(2026, 1, 1))


def exactly(text: str) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def exact(value: object) -> Any:
    return exactly(json.dumps(value))


def as_object(value: object) -> dict[str, Any]:
    """What the event has of a list, by Python's rules."""
    if isinstance(value, dict):
        return dict(value)
    pairs = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    return {pair["key"]: pair.get("value") for pair in pairs if pair.get("key") is not None}


def is_odd(value: object) -> bool:
    """Whether an object cannot hold all of it."""
    if isinstance(value, list):
        return any(not isinstance(each, dict) or each.get("key") is None for each in value)
    return value is not None and not isinstance(value, dict)


def move(moving: Moving, table: str) -> None:
    moving.prepare(table)
    moving.plan(table)
    moving.backfill(table)


def sealed(moving: Moving, table: str) -> bool:
    """Whether both engines have the same checksum of every chunk."""
    found = moving.seal(table)
    return bool(found.equal) and not found.different


@ON_SERVERS
@given(st.lists(st.tuples(LISTS, LISTS, TIMES), min_size=1, max_size=60))
def test_any_list_becomes_an_object_and_what_it_cannot_hold_is_kept(
    old: psycopg.Connection, moving: Moving, rows: Sequence[tuple[object, object, datetime]]
) -> None:
    moving.forget()
    old.execute("TRUNCATE profile_log")
    ids = [profile(old, Jsonb(metrics), Jsonb(dimensions), timestamp=at) for metrics, dimensions, at in rows]
    move(moving, "profile_log")
    stored = {each["event_id"]: each for each in moving.stored("profile_log")}
    assert len(stored) == len(rows)
    for row_id, (metrics, dimensions, at) in zip(ids, rows, strict=True):
        event = stored[str(Origin(1, 0, row_id).event_id())]
        assert exactly(event["metrics"]) == exact(as_object(metrics))
        assert exactly(event["dimensions"]) == exact(as_object(dimensions))
        assert exactly(event["extra"]) == exact(kept(metrics=metrics, dimensions=dimensions))
        handle = as_object(dimensions).get("handle")
        assert event["handle"] == (handle if isinstance(handle, str) else None)
        assert event["event_timestamp"] == f"{at:%Y-%m-%d %H:%M:%S.%f}".replace(f"{at:%Y}", f"{at.year:04}")
    assert sealed(moving, "profile_log")


def kept(**values: object) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if is_odd(value)}


def test_numbers_are_kept_as_they_were_written(old: psycopg.Connection, moving: Moving) -> None:
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, metrics, timestamp) VALUES ('I', 'p', "
        """'[{"key": "a", "value": 1.50}, {"key": "b", "value": 123456789012345678901234}, """
        """{"key": "a", "value": 2.00}, {"key": "c", "value": 1e22}]', '2026-01-01')"""
    )
    move(moving, "profile_log")
    [row] = moving.stored("profile_log")
    assert row["metrics"] == '{"a": 2.00, "b": 123456789012345678901234, "c": 10000000000000000000000}'


def test_a_post_has_its_shortcode_and_the_time_it_was_published(old: psycopg.Connection, moving: Moving) -> None:
    for taken in (1_750_000_000, 1_750_000_000.5, "1750000000", -5, 10**30, None):
        old.execute(
            "INSERT INTO post_log (platform, profile_id, platform_post_id, dimensions, timestamp) "
            "VALUES ('INSTAGRAM', 'p', 'C1', %s, '2026-01-01')",
            [Jsonb([{"key": "taken_at_timestamp", "value": taken}])],
        )
    move(moving, "post_log")
    assert [row["publish_time"] for row in moving.stored("post_log")] == [
        "2025-06-15 15:06:40.000000",
        "2025-06-15 15:06:40.500000",
        *[None] * 4,
    ]
    assert sealed(moving, "post_log")


def test_a_youtube_channels_handle_is_its_id(old: psycopg.Connection, moving: Moving) -> None:
    profile(old, platform="YOUTUBE", profile_id="UC1", dimensions=Jsonb([{"key": "handle", "value": "other"}]))
    move(moving, "profile_log")
    assert moving.stored("profile_log")[0]["handle"] == "UC1"


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_times_are_those_of_the_crawlers_zone(old: psycopg.Connection, moving: Moving, zone: str) -> None:
    summer, winter = datetime(2025, 7, 1, 12), datetime(2025, 12, 1, 12)
    profile(old, timestamp=summer)
    profile(old, timestamp=winter)
    moving.database = Database(zones={"profile_log": zone})
    move(moving, "profile_log")
    assert [row["event_timestamp"] for row in moving.stored("profile_log")] == [
        f"{at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}" for at in (summer, winter)
    ]


SCORES = st.floats(-1, 1) | st.floats(allow_nan=False, allow_infinity=False)


@ON_SERVERS
@given(st.lists(SCORES, min_size=1, max_size=60))
def test_a_score_keeps_every_bit(old: psycopg.Connection, moving: Moving, scores: Sequence[float]) -> None:
    moving.forget()
    old.execute("TRUNCATE sentiment_log")
    for score in scores:
        old.execute(
            "INSERT INTO sentiment_log (platform, platform_post_id, comment_id, sentiment, score, timestamp) "
            "VALUES ('I', 'C1', 'c', 'neutral', %s, '2026-01-01')",
            [score],
        )
    move(moving, "sentiment_log")
    assert [float(row["score"]) for row in moving.stored("sentiment_log")] == scores
    assert sealed(moving, "sentiment_log")


def test_a_scrape_request_is_an_event_when_it_is_complete(old: psycopg.Connection, moving: Moving) -> None:
    for number, status in enumerate(("PENDING", "PROCESSING", "COMPLETE", "FAILED")):
        old.execute(
            "INSERT INTO scrape_request_log (idempotency_key, platform, flow, status, params, priority, created_at, "
            "scraped_at, picked_at, expires_at) VALUES (%s, 'I', 'f', %s, '{\"a\": 1}', NULL, '2026-01-01', "
            "'2026-01-02', '2026-01-01 12:00', 'infinity')",
            [f"k{number}", status],
        )
    move(moving, "scrape_request_log")
    rows = moving.stored("scrape_request_log")
    assert [(row["scl_id"], row["status"]) for row in rows] == [(3, "COMPLETE"), (4, "FAILED")]
    assert rows[0]["params"] == '{"a": 1}'
    assert (rows[0]["picked_at"], rows[0]["expires_at"]) == ("2026-01-01 12:00:00.000000", None)
    assert exactly(rows[0]["extra"]) == {"idempotency_key": "k2", "created_at": "2026-01-01T00:00:00+00:00"}
    assert moving.noted("SELECT count(*) FROM migration.rejected") == [(0,)]
    assert sealed(moving, "scrape_request_log")


def test_every_table_has_rows_of_the_shape_of_its_raw_table(old: psycopg.Connection, moving: Moving) -> None:
    for table in LEGACY_TABLES.values():
        names = {*table.required, table.time} - {"id"}
        values = {name: "COMPLETE" if name == "status" else "x" for name in names}
        values |= {table.time: "2026-01-01"} | ({"score": "0.5"} if "score" in names else {})
        if table.name == "scrape_request_log":
            values |= {"status": "FAILED", "idempotency_key": "k"}
        old.execute(
            f"INSERT INTO {table.name} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})".encode(),
            list(values.values()),
        )
        move(moving, table.name)
        [row] = moving.stored(table.name)
        assert row["event_id"] == str(Origin(table.number, 0, 1).event_id()), table.name
        assert sealed(moving, table.name), table.name


def test_a_relationships_own_metrics_are_kept_in_extra(old: psycopg.Connection, moving: Moving) -> None:
    old.execute(
        "INSERT INTO profile_relationship_log (platform, source_profile_id, target_profile_id, relationship_type, "
        "source_metrics, target_metrics, source_dimensions, timestamp) VALUES ('I', 'a', 'b', 'follower', "
        """'[{"key": "followers", "value": 5}]', '[]', '"odd"', '2026-01-01')"""
    )
    move(moving, "profile_relationship_log")
    [row] = moving.stored("profile_relationship_log")
    assert json.loads(row["extra"]) == {"source_metrics": {"followers": 5}, "source_dimensions": "odd"}
