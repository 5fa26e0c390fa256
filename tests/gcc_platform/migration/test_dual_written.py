"""A dual-written row is the same event by either way: the crawler's, and that of PostgreSQL, which repairs it."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy import BigInteger, DateTime, String, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gcc_platform.migration import legacy_database
from gcc_platform.migration.copied_rows import Pace, copy_rows
from gcc_platform.migration.landing import land
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import connected
from ingest_service.publisher.dual_write import Published, publish_commits
from ingest_service.publisher.legacy_writes import LegacyWrites
from ingest_service.publisher.log_events import utc_of
from ingest_service.publisher.payload import record_of
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_transform import LISTS, TEXT, exactly
from tests.harness.running import query

KOLKATA = "Asia/Kolkata"
ZONES = ("UTC", KOLKATA, "Europe/Berlin", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe")
AT_CHANGES = [datetime(2025, 10, 26, 2, 30), datetime(2025, 3, 30, 2, 30), datetime(2025, 4, 6, 1, 45)]
TAKEN = st.none() | st.booleans() | TEXT | st.integers(-(10**12), 10**12) | st.just(1_750_000_000.5)
HANDLES = st.none() | st.integers() | st.sampled_from(["é", ""])

ON_POSTGRES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Base(DeclarativeBase):
    pass


class _Log(Published):
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    platform: Mapped[str | None] = mapped_column(String)
    source: Mapped[str | None] = mapped_column(String)
    timestamp: Mapped[datetime] = mapped_column(DateTime)


class PostLog(Base, _Log):
    __tablename__ = "post_log"
    EVENT_TYPE: ClassVar[str] = "post_log"
    platform_post_id: Mapped[str] = mapped_column(String)
    profile_id: Mapped[str] = mapped_column(String)
    metrics: Mapped[Any] = mapped_column(JSONB)
    dimensions: Mapped[Any] = mapped_column(JSONB)


class RelationshipLog(Base, _Log):
    __tablename__ = "profile_relationship_log"
    EVENT_TYPE: ClassVar[str] = "profile_relationship_log"
    source_profile_id: Mapped[str] = mapped_column(String)
    target_profile_id: Mapped[str] = mapped_column(String)
    relationship_type: Mapped[str] = mapped_column(String)
    source_metrics: Mapped[Any] = mapped_column(JSONB)
    target_dimensions: Mapped[Any] = mapped_column(JSONB)


class Crawler:
    """A session whose events are kept as their bodies, and the old database that it writes to."""

    def __init__(self, url: str, old: psycopg.Connection) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self._old = old
        self._engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        self._class = type("CrawlSession", (Session,), {})
        publish_commits(self._class, self._emit, zone=ZoneInfo(KOLKATA), writes=LegacyWrites.BOTH)

    def _emit(self, event_type: str, content: Mapping[str, Any]) -> None:
        body = exactly(record_of(event_type, content).body.decode())
        self.bodies.append({"extra": {}} | body)

    def write(self, *logs: Published) -> Sequence[Mapping[str, Any]]:
        """Commit the logs; their events as they are sent."""
        self.bodies = []
        with self._class(self._engine) as session:
            session.add_all(logs)
            session.commit()
        return self.bodies

    def made_by_postgres(self, table: str) -> list[dict[str, Any]]:
        """The events of all rows of a table, as the backfill and repairs make them."""
        database = Database(zones={table: KOLKATA})
        sql = LEGACY_TABLES[table].events_sql(database, "true")
        with self._old.cursor(row_factory=dict_row) as cursor:
            return [_as_body(row) for row in cursor.execute(f"SELECT * FROM ({sql}) AS e ORDER BY id".encode())]

    def close(self) -> None:
        self._engine.dispose()


def _as_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the query with the types of the event's JSON."""
    found = {name: value for name, value in row.items() if name != "id"} | {"event_id": str(row["event_id"])}
    for name, value in found.items():
        if isinstance(value, dict):
            found[name] = exactly(json.dumps(value, default=_number))
    return found


def _number(value: object) -> Any:
    assert isinstance(value, Decimal)
    return float(value)


@pytest.fixture
def crawler(old_server: str, old: psycopg.Connection) -> Iterator[Crawler]:
    for name in ("post_log", "profile_relationship_log"):
        old.execute(f"ALTER TABLE {name} ADD COLUMN event_id uuid".encode())
    found = Crawler(old_server, old)
    yield found
    found.close()


def post(metrics: object, dimensions: object, at: datetime, source: str | None = "s") -> PostLog:
    return PostLog(
        platform="INSTAGRAM",
        source=source,
        timestamp=at,
        platform_post_id="C1",
        profile_id="7",
        metrics=metrics,
        dimensions=dimensions,
    )


def assert_same(body: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if isinstance(value, datetime):
            assert datetime.fromisoformat(body[name]) == value, name
        elif name != "extra":  # which also has what an object cannot hold
            assert body.get(name) == value, name


@ON_POSTGRES
@given(LISTS, LISTS, TAKEN, HANDLES, st.datetimes(datetime(2005, 1, 2), datetime(2026, 1, 1)), st.none() | st.just("s"))
def test_an_event_is_the_one_that_postgres_makes_of_its_row(
    old: psycopg.Connection,
    crawler: Crawler,
    metrics: object,
    dimensions: object,
    taken: object,
    handle: object,
    at: datetime,
    source: str | None,
) -> None:
    old.execute("TRUNCATE post_log")
    if isinstance(dimensions, list):
        dimensions = [*dimensions, {"key": "taken_at_timestamp", "value": taken}, {"key": "handle", "value": handle}]
    [body] = crawler.write(post(metrics, dimensions, at, source))
    [row] = crawler.made_by_postgres("post_log")
    assert_same(body, row)


def test_a_relationships_own_metrics_are_the_same_by_either_way(crawler: Crawler) -> None:
    common = {"platform": "I", "source": "s", "source_profile_id": "1", "target_profile_id": "2"}
    full = [{"key": "followers", "value": 5}]
    for given_metrics in (full, [], None):
        crawler._old.execute("TRUNCATE profile_relationship_log")
        log = RelationshipLog(**common, relationship_type="follower", source_metrics=given_metrics)
        [body] = crawler.write(log)
        [row] = crawler.made_by_postgres("profile_relationship_log")
        sent = {name: body[name] for name in body if name.startswith(("source_m", "target_d"))}
        assert sent == row["extra"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ZONES), st.sampled_from(AT_CHANGES), st.timedeltas(-timedelta(hours=3), timedelta(hours=3)))
@example("Europe/Berlin", AT_CHANGES[0], timedelta(0))
@example("Europe/Berlin", AT_CHANGES[1], timedelta(0))
def test_a_time_of_any_zone_is_the_one_that_postgres_makes_of_it(
    old: psycopg.Connection, zone: str, near: datetime, away: timedelta
) -> None:
    at = near + away
    row = old.execute("SELECT %s::timestamp AT TIME ZONE %s", [at, zone]).fetchone()
    assert row is not None
    assert utc_of(at, ZoneInfo(zone)) == row[0].astimezone(UTC)


def test_a_row_and_its_event_are_the_same_however_the_values_are_written(crawler: Crawler) -> None:
    keys = [{"key": 5, "value": 1}, {"key": True, "value": {1: 2}}, {"key": "a", "value": (1, 2)}]
    [body] = crawler.write(post(keys, None, datetime(2026, 1, 1)))
    [row] = crawler.made_by_postgres("post_log")
    assert body["metrics"] == row["metrics"] == {"5": 1, "true": {"1": 2}, "a": [1, 2]}
    assert body["event_id"] == row["event_id"]


def test_an_event_and_the_row_that_a_repair_sends_are_one_row(
    old: psycopg.Connection, crawler: Crawler, moving: Moving
) -> None:
    """In the hour that a clock repeats, too."""
    moving.database = Database(zones={"post_log": "Europe/Berlin"})
    berlin = type("BerlinSession", (Session,), {})
    bodies: list[bytes] = []
    publish_commits(
        berlin,
        lambda event_type, content: bodies.append(record_of(event_type, content).body),
        zone=ZoneInfo("Europe/Berlin"),
        writes=LegacyWrites.BOTH,
    )
    with berlin(crawler._engine) as session:
        session.add_all(post([], [], AT_CHANGES[0] + timedelta(minutes=10 * away)) for away in range(-20, 20))
        session.commit()
    sent = b"\n".join(bodies).decode()
    query(
        moving.ingest_url,
        "INSERT INTO _e.post_log_events SETTINGS date_time_input_format = 'best_effort' FORMAT JSONEachRow " + sent,
    )
    ids = old.execute("SELECT event_id::text FROM post_log ORDER BY 1").fetchall()
    asyncio.run(repair_all(moving, LEGACY_TABLES["post_log"]))
    assert sorted(row["event_id"] for row in moving.stored("post_log")) == [event_id for (event_id,) in ids]
    assert len(ids) == 40


async def repair_all(moving: Moving, table: LegacyTable) -> None:
    """Send all rows from PostgreSQL."""
    async with (
        legacy_database.reading(moving.legacy_url) as old,
        connected(moving.clickhouse_url, 60) as clickhouse,
    ):
        rows = await copy_rows(old, table, moving.database, "true", {}, Pace())
        await land(clickhouse, table, rows.lines, f"repair/{table.name}/{uuid4()}", Backoff(first=0.5, most=30.0))
