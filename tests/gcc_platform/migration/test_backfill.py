"""Every old row is in its raw table once, or has a reason why not; however often the backfill is killed."""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gcc_platform.migration import backfill
from gcc_platform.migration.copied_rows import CopiedRows, copy_rows
from gcc_platform.migration.identity import Origin
from gcc_platform.migration.postgres import Connection
from tests.gcc_platform.migration.moving import Moving


def pairs(**values: object) -> Jsonb:
    return Jsonb([{"key": key, "value": value} for key, value in values.items()])


def profile(old: psycopg.Connection, metrics: object = None, dimensions: object = None, **more: object) -> int:
    """Insert a row; its id."""
    row = {
        "platform": "INSTAGRAM",
        "profile_id": "p1",
        "source": "graphapi",
        "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901),
        "metrics": metrics,
        "dimensions": dimensions,
        **more,
    }
    names = ", ".join(row)
    made = old.execute(
        f"INSERT INTO profile_log ({names}) VALUES ({', '.join(f'%({name})s' for name in row)}) RETURNING id".encode(),
        row,
    ).fetchone()
    assert made is not None
    return int(made[0])


def test_a_row_is_the_event_that_its_crawler_would_have_published(old: psycopg.Connection, moving: Moving) -> None:
    row = profile(old, pairs(followers=1250, avg_likes=1.5), pairs(handle="créator\n\t\\N", is_verified=True))
    moving.prepare("profile_log")
    assert moving.plan("profile_log") == 1
    moving.backfill("profile_log")
    [stored] = moving.stored("profile_log")
    assert stored["event_id"] == str(Origin(1, 0, row).event_id())
    assert stored["event_timestamp"] == "2026-01-02 03:04:05.678901"
    assert (stored["platform"], stored["profile_id"], stored["source"]) == ("INSTAGRAM", "p1", "graphapi")
    assert stored["handle"] == "créator\n\t\\N"
    assert json.loads(stored["metrics"]) == {"followers": 1250, "avg_likes": 1.5}
    assert json.loads(stored["dimensions"]) == {"handle": "créator\n\t\\N", "is_verified": True}
    assert stored["extra"] == "{}"


def test_a_row_that_can_be_no_event_is_noted_with_its_reason(old: psycopg.Connection, moving: Moving) -> None:
    profile(old)
    absent = profile(old, profile_id=None)
    timeless = profile(old, timestamp=None)
    ancient = profile(old, timestamp=datetime(1970, 1, 1))
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    assert len(moving.stored("profile_log")) == 1
    assert moving.noted("SELECT id, reason FROM migration.rejected ORDER BY id") == [
        (absent, "missing_field"),
        (timeless, "no_time"),
        (ancient, "implausible_time"),
    ]
    assert moving.noted("SELECT state, rows_written, rows_rejected FROM migration.chunks") == [("done", 1, 3)]


def test_chunks_cover_all_ids_and_know_what_they_have(old: psycopg.Connection, moving: Moving) -> None:
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, metrics, dimensions, timestamp) "
        "SELECT 'YOUTUBE', 'c' || i, '[]', NULL, timestamp '2025-12-30' + i * interval '1 hour' "
        "FROM generate_series(1, 95) AS i"
    )
    moving.prepare("profile_log")
    assert moving.plan("profile_log", width=10) == 10
    assert moving.plan("profile_log", width=10) == 0
    moving.backfill("profile_log", workers=3)
    assert len(moving.stored("profile_log")) == 95
    assert moving.noted(
        "SELECT count(*), sum(rows_written), min(min_timestamp), max(max_timestamp) FROM migration.chunks "
        "WHERE state = 'done'"
    ) == [(10, 95, datetime(2025, 12, 30, 1, tzinfo=UTC), datetime(2026, 1, 2, 23, tzinfo=UTC))]
    assert {row["handle"] for row in moving.stored("profile_log")} == {f"c{i}" for i in range(1, 96)}


def test_a_chunk_does_not_fail_because_its_connection_has_ended_whatever_the_driver_says(
    old: psycopg.Connection, moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg's words were seen when a server was killed in the middle of a COPY; no test could provoke them."""
    ended: list[int] = []

    async def copy(connection: Connection, *arguments: Any, **more: Any) -> CopiedRows:
        if not ended:
            ended.append(connection.info.backend_pid)
            old.execute("SELECT pg_terminate_backend(%s, 10000)", ended)
            raise psycopg.ProgrammingError("you cannot mix COPY with other operations")
        return await copy_rows(connection, *arguments, **more)

    monkeypatch.setattr(backfill, "copy_rows", copy)
    profile(old)
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    assert moving.noted("SELECT state, attempts, rows_written FROM migration.chunks") == [("done", 2, 1)]


def test_rows_of_dual_writing_crawlers_are_left_to_the_broker(old: psycopg.Connection, moving: Moving) -> None:
    moving.prepare("profile_log")
    profile(old)
    profile(old, event_id="6ecd8c99-4036-403d-bf84-cf8400f67836")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    assert len(moving.stored("profile_log")) == 1
