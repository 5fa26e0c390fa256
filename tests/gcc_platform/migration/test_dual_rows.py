"""Every fault of dual writing is found, with its cause; rows that say the same in other words are equal."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import pairs, profile
from tests.harness.running import query

RAW = LEGACY_TABLES["profile_log"].raw_table
AT = datetime(2026, 1, 2, 3, 4, 5, 678901)


class Crawler:
    """Writes rows and events, and makes mistakes."""

    def __init__(self, moving: Moving, old: psycopg.Connection) -> None:
        self._moving, self._old = moving, old
        self._events: list[dict[str, Any]] = []

    def row(self, at: datetime = AT, followers: int = 7) -> str:
        event_id = str(uuid4())
        profile(
            self._old, pairs(followers=followers, rate=1.0, nothing=None), pairs(handle="é", is_verified=True),
            event_id=event_id, timestamp=at,
        )  # fmt: skip
        return event_id

    def event(self, event_id: str, at: datetime = AT, followers: float = 7.0) -> None:
        """In another notation than the row: 7.0 and 1, and other orders of keys."""
        self._events.append(
            {
                "event_id": event_id,
                "platform": "INSTAGRAM",
                "profile_id": "p1",
                "source": "graphapi",
                "handle": "é",
                "event_timestamp": f"{at:%Y-%m-%d %H:%M:%S.%f}",
                "insert_timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
                "metrics": json.dumps({"rate": 1, "nothing": None, "followers": followers}),
                "dimensions": '{"is_verified":true, "handle":"é"}',
            }
        )

    def land(self) -> None:
        lines = "\n".join(map(json.dumps, self._events))
        query(self._moving.ingest_url, f"INSERT INTO {RAW} FORMAT JSONEachRow {lines}")

    def both(self) -> str:
        event_id = self.row()
        self.event(event_id)
        return event_id


@pytest.fixture
def crawler(moving: Moving, old: psycopg.Connection) -> Iterator[Crawler]:
    moving.prepare("profile_log")
    query(moving.ingest_url, "TRUNCATE TABLE _e.dead_letter_events")
    yield Crawler(moving, old)
    query(moving.ingest_url, "TRUNCATE TABLE _e.dead_letter_events")


def test_rows_that_say_the_same_in_another_notation_are_equal(crawler: Crawler, moving: Moving) -> None:
    for _ in range(50):
        crawler.both()
    crawler.land()
    day = moving.dual_rows("profile_log", AT.date())
    assert (day.rows, list(day.differences)) == (50, [])


def test_rows_of_other_days_and_of_the_backfill_do_not_count(
    crawler: Crawler, moving: Moving, old: psycopg.Connection
) -> None:
    midnight = datetime(2026, 1, 3)
    crawler.event(crawler.row(midnight), midnight)
    profile(old)
    moving.plan("profile_log")
    moving.backfill("profile_log")
    crawler.land()
    day = moving.dual_rows("profile_log", AT.date())
    assert (day.rows, list(day.differences)) == (0, [])


def test_every_fault_has_its_kind_and_cause(crawler: Crawler, moving: Moving, old: psycopg.Connection) -> None:
    for _ in range(20):
        crawler.both()
    planted = {
        crawler.row(): ("only in PostgreSQL", "lost before the broker"),
        (spooled := crawler.row()): ("only in PostgreSQL", "in a spool"),
        (letter := crawler.row()): ("only in PostgreSQL", "dead-lettered: invalid_field"),
        (deleted := crawler.both()): (
            "only in ClickHouse", "rolled back, deleted since, or of a crawler that writes events only"),
        (rolled_back := str(uuid4())): (
            "only in ClickHouse", "rolled back, deleted since, or of a crawler that writes events only"),
        (updated := crawler.both()): ("differs", "changed on one side"),
        (twice := crawler.both()): ("twice in ClickHouse", "two clocks: the copies have another event_timestamp"),
    }  # fmt: skip
    crawler.event(rolled_back)
    crawler.event(twice, AT + timedelta(seconds=1))
    old.execute("DELETE FROM profile_log WHERE event_id = %s", [deleted])
    old.execute("UPDATE profile_log SET metrics = '[]', source = 'x' WHERE event_id = %s", [updated])
    query(
        moving.ingest_url,
        "INSERT INTO _e.dead_letter_events (letter_id, event_type, reason, body) VALUES "
        f"(generateUUIDv4(), 'profile_log', 'invalid_field', '{json.dumps({'event_id': letter})}')",
    )
    crawler.land()
    day = moving.dual_rows("profile_log", AT.date(), [spooled])
    assert {str(each.event_id): (each.kind, each.cause) for each in day.differences} == planted
    assert [each.detail for each in day.differences if str(each.event_id) == updated] == ["source, metrics"]


def test_a_young_row_without_its_event_and_a_young_event_without_its_row_are_under_way(
    crawler: Crawler, moving: Moving
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    crawler.row(now)
    crawler.event(str(uuid4()), now)
    crawler.land()
    day = moving.dual_rows("profile_log", now.date())
    assert Counter(each.cause for each in day.differences) == {"under way": 2}


def test_what_an_event_has_beyond_its_dimensions_is_no_difference_of_its_row(
    moving: Moving, old: psycopg.Connection
) -> None:
    moving.prepare("post_log")
    raw = LEGACY_TABLES["post_log"].raw_table
    query(
        moving.ingest_url,
        f"INSERT INTO {raw} (event_id, platform, profile_id, shortcode, handle, publish_time, event_timestamp) "
        f"VALUES (generateUUIDv4(), 'INSTAGRAM', 'p', 'C1', 'h', '2026-01-01 00:00:00', '{AT}')",
    )
    assert moving.reverse("post_log").written == 1
    assert list(moving.dual_rows("post_log", AT.date()).differences) == []
    old.execute("""UPDATE post_log SET dimensions = '[{"key": "taken_at_timestamp", "value": 1}]'""")
    [found] = moving.dual_rows("post_log", AT.date()).differences
    assert found.detail == "publish_time, dimensions"
