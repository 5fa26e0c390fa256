"""A chunk is sealed when both engines have the same rows; whatever differs is found, and named by row and column."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity.totals import ROWS, Total
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile
from tests.gcc_platform.migration.test_transform import ON_SERVERS, move
from tests.harness.running import query

RAW = LEGACY_TABLES["profile_log"].raw_table


@pytest.fixture
def moved(moving: Moving, old: psycopg.Connection) -> Moving:
    """Three chunks of a thousand rows, backfilled."""
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, metrics, dimensions, source, timestamp) "
        """SELECT 'INSTAGRAM', 'p' || i % 7, jsonb_build_array(jsonb_build_object('key', 'followers', 'value', i)), """
        """'[{"key": "handle", "value": "é"}]', 'graphapi', timestamp '2025-11-01' + i * interval '17 minutes' """
        "FROM generate_series(1, 3000) AS i"
    )
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log", workers=2)
    return moving


def rewrite(moving: Moving, sql: str) -> None:
    query(moving.ingest_url, f"ALTER TABLE {RAW} {sql} SETTINGS mutations_sync = 2")


def event_id(row_id: int) -> str:
    return str(Origin(1, 0, row_id).event_id())


def test_equal_chunks_are_sealed_once(moved: Moving) -> None:
    assert len(moved.seal("profile_log").equal) == 3
    assert moved.seal("profile_log").equal == []
    assert len(moved.verify("profile_log").equal) == 3


def test_a_chunk_that_was_inserted_twice_is_equal(moved: Moving) -> None:
    columns = "event_id, platform, profile_id, handle, source, event_timestamp, metrics, dimensions, extra"
    query(moved.ingest_url, f"INSERT INTO {RAW} ({columns}) SELECT {columns} FROM {RAW}")
    assert len(moved.seal("profile_log").equal) == 3


def test_every_planted_fault_is_found_and_named(moved: Moving, old: psycopg.Connection) -> None:
    moved.seal("profile_log")
    rewrite(moved, f"DELETE WHERE event_id = '{event_id(17)}'")
    rewrite(moved, f"UPDATE metrics = '{{\"followers\": 1}}' WHERE event_id = '{event_id(1500)}'")
    rewrite(moved, f"UPDATE handle = NULL, source = 'x' WHERE event_id = '{event_id(2999)}'")
    found = moved.verify("profile_log")
    assert [chunk.first_id for chunk in found.different] == [1, 1001, 2001]
    old.execute("DELETE FROM profile_log WHERE id = 2500")
    differences = [each for chunk in found.different for each in moved.differences("profile_log", chunk)]
    assert [(str(each.event_id), each.kind, each.detail) for each in differences] == [
        (event_id(17), "only in PostgreSQL", ""),
        (event_id(1500), "differs", "metrics"),
        (event_id(2500), "only in ClickHouse", "deleted or changed in PostgreSQL since"),
        (event_id(2999), "differs", "handle, source"),
    ]
    assert moved.noted("SELECT count(*) FROM migration.chunks WHERE sealed_at IS NOT NULL") == [(0,)]


def test_totals_agree_and_show_what_is_missing(moved: Moving) -> None:
    assert moved.totals("profile_log") == []
    rewrite(moved, f"DELETE WHERE event_id = '{event_id(100)}'")
    rows, followers = moved.totals("profile_log")
    assert rows.day == followers.day == date(2025, 11, 2)
    assert (rows.metric, followers.metric) == (ROWS, "followers")
    assert count_of(rows.here) - count_of(rows.there) == 1
    assert sum_of(followers.here) - sum_of(followers.there) == 100


def count_of(total: Total | None) -> int:
    return total.count if total else 0


def sum_of(total: Total | None) -> Decimal:
    return total.sum if total else Decimal(0)


@ON_SERVERS
@given(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False) | st.integers(-(10**17), 10**17), min_size=1, max_size=60))
def test_totals_of_any_numbers_agree(old: psycopg.Connection, moving: Moving, numbers: Sequence[float]) -> None:
    moving.forget()
    old.execute("TRUNCATE profile_log")
    for number in numbers:
        profile(old, Jsonb([{"key": "likes", "value": number}]))
    move(moving, "profile_log")
    assert moving.totals("profile_log") == []


def test_totals_are_of_the_days_by_utc_and_of_numbers_only(moving: Moving, old: psycopg.Connection) -> None:
    for value in (1.5, "2", None, True, -3, 10**20):
        old.execute(
            "INSERT INTO profile_log (platform, profile_id, metrics, timestamp) VALUES ('I', 'p', %s, '2026-01-01')",
            [Jsonb([{"key": "likes", "value": value}, {"key": None, "value": 1}])],
        )
    moving.prepare("profile_log")
    moving.plan("profile_log")
    assert [(each.metric, each.here, each.there) for each in moving.totals("profile_log")] == [
        (ROWS, Total(6), None),
        ("likes", Total(2, Decimal("-1.5")), None),
    ]
    moving.backfill("profile_log")
    assert moving.totals("profile_log") == []
