"""A night costs what is new, and misses nothing: what has moved is compared again, the rest in turns."""

import asyncio
from datetime import date, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity import unmoved
from gcc_platform.migration.parity.bisecting import TWICE
from gcc_platform.migration.parity.rows import Checked
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import pairs, profile
from tests.gcc_platform.migration.test_sealing import RAW, event_id, rewrite
from tests.harness.running import query

DAYS, PER_DAY = 30, 100
FIRST_DAY = date(2025, 11, 1)


@pytest.fixture
def moved(moving: Moving, old: psycopg.Connection) -> Moving:
    """A hundred rows on each of thirty days, in ten chunks; totals were compared, and nothing is under way any more."""
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, metrics, timestamp) "
        "SELECT 'INSTAGRAM', 'p' || i % 7, jsonb_build_array(jsonb_build_object('key', 'followers', 'value', i)), "
        f"timestamp '{FIRST_DAY}' + (i - 1) * interval '1 day' / {PER_DAY} "
        f"FROM generate_series(1, {DAYS * PER_DAY}) AS i".encode()
    )
    moving.prepare("profile_log")
    moving.plan("profile_log", width=300)
    moving.backfill("profile_log")
    old.execute("VACUUM ANALYZE profile_log")
    moving.seal("profile_log")
    first = moving.nightly_totals("profile_log")
    assert (first.mismatches, first.days) == ([], None)
    later(moving)
    return moving


def later(moving: Moving) -> None:
    """As if what has arrived had done so long before the last look."""
    with psycopg.connect(moving.state_url, autocommit=True) as own:
        own.execute("UPDATE migration.looks SET arrived_until = now()")


def insert(old: psycopg.Connection, at: datetime, likes: int = 1) -> int:
    return profile(old, pairs(likes=likes), timestamp=at)


def test_nothing_is_compared_if_nothing_has_happened(moved: Moving) -> None:
    found = moved.nightly_totals("profile_log")
    assert (found.mismatches, found.days) == ([], 0)


def test_the_days_of_new_rows_are_compared_whatever_their_ids(moved: Moving, old: psycopg.Connection) -> None:
    insert(old, datetime(2025, 11, 3, 12))
    insert(old, datetime(2025, 12, 24, 12))
    found = moved.nightly_totals("profile_log")
    assert found.days == 2
    assert {(each.day, each.metric) for each in found.mismatches} == {
        (date(2025, 11, 3), " rows"), (date(2025, 11, 3), "likes"),
        (date(2025, 12, 24), " rows"), (date(2025, 12, 24), "likes"),
    }  # fmt: skip
    assert moved.poll("profile_log") == 2
    assert moved.nightly_totals("profile_log").mismatches == []


def test_a_day_that_differed_is_compared_until_it_is_equal(moved: Moving, old: psycopg.Connection) -> None:
    rewrite(moved, f"DELETE WHERE event_id = '{event_id(250)}'")
    assert {each.day for each in moved.nightly_totals("profile_log", every_day=True).mismatches} == {date(2025, 11, 3)}
    later(moved)
    again = moved.nightly_totals("profile_log")
    assert again.days == 1
    assert {each.day for each in again.mismatches} == {date(2025, 11, 3)}


def test_a_row_that_clickhouse_loses_is_missed_within_seven_nights(moved: Moving) -> None:
    rewrite(moved, f"DELETE WHERE event_id = '{event_id(1234)}'")
    nights = []
    for _ in range(7):
        nights.append({each.day for each in moved.nightly_totals("profile_log").mismatches})
        later(moved)
        if nights[-1]:
            break
    assert nights[-1] == {FIRST_DAY + timedelta(days=1233 // PER_DAY)}
    assert len(nights) > 1, "the day was in the first share: the test proves nothing of the others"


def test_a_row_that_arrives_in_clickhouse_alone_is_noticed_in_the_next_night(moved: Moving) -> None:
    columns = "platform, profile_id, event_timestamp, metrics"
    query(moved.ingest_url, f"INSERT INTO {RAW} (event_id, {columns}) SELECT generateUUIDv4(), {columns} "
                            f"FROM {RAW} WHERE event_id = '{event_id(2000)}'")  # fmt: skip
    found = moved.nightly_totals("profile_log")
    assert found.days == 1
    assert {each.day for each in found.mismatches} == {date(2025, 11, 20)}


def test_every_day_is_compared_after_a_row_was_changed_in_postgresql(moved: Moving, old: psycopg.Connection) -> None:
    old.execute("UPDATE profile_log SET metrics = '[]' WHERE id = 777")
    old.execute("SELECT pg_stat_force_next_flush()")
    found = moved.nightly_totals("profile_log")
    assert found.days is None
    assert {each.day for each in found.mismatches} == {date(2025, 11, 8)}


def test_rows_among_other_ids_than_their_day_is_are_found_before_a_difference_is_reported(
    moved: Moving, old: psycopg.Connection
) -> None:
    """Chunks say which times they have. Here one is wrong, and a row arrives that makes its day be compared."""
    with psycopg.connect(moved.state_url, autocommit=True) as own:
        own.execute("UPDATE migration.chunks SET min_timestamp = '2020-01-01', max_timestamp = '2020-01-02'")
    insert(old, datetime(2025, 11, 8, 12))
    moved.poll("profile_log")
    found = moved.nightly_totals("profile_log")
    assert (found.mismatches, found.days) == ([], 1)


def test_the_counters_show_changes_deletions_and_resets_and_no_inserts(
    old_server: str, old: psycopg.Connection
) -> None:
    def counters() -> str | None:
        async def ask() -> str | None:
            async with legacy_database.reading(old_server) as connection:
                return await unmoved.counters(connection, LEGACY_TABLES["profile_log"])

        return asyncio.run(ask())

    before = counters()
    insert(old, datetime(2026, 1, 1))
    old.execute("SELECT pg_stat_force_next_flush()")
    assert counters() == before
    for change in ("UPDATE profile_log SET source = 'x'", "DELETE FROM profile_log", "TRUNCATE profile_log",
                   "SELECT pg_stat_reset()", "SELECT pg_stat_reset_shared('bgwriter')"):  # fmt: skip
        old.execute(change.encode())
        old.execute("SELECT pg_stat_force_next_flush()")
        assert counters() != before, change
        before = counters()
    old.execute("ALTER DATABASE gcc SET track_counts = off")
    try:
        assert counters() is None
    finally:
        old.execute("ALTER DATABASE gcc RESET track_counts")


def test_sealed_chunks_are_verified_in_turns(moved: Moving) -> None:
    rewrite(moved, f"DELETE WHERE event_id = '{event_id(2950)}'")
    nights = [moved.verify("profile_log", every_chunk=False) for _ in range(5)]
    assert [len(night.equal) + len(night.different) for night in nights] == [2] * 5
    assert [[chunk.first_id for chunk in night.different] for night in nights] == [[], [], [], [], [2701]]


@pytest.mark.parametrize("at", ["2025-11-01 23:00:00", "2026-02-01 00:00:00"])
def test_a_copy_of_a_row_with_another_time_is_found_and_named(moved: Moving, at: str) -> None:
    columns = "platform, profile_id, metrics, dimensions, extra"
    query(moved.ingest_url, f"INSERT INTO {RAW} (event_id, event_timestamp, {columns}) SELECT event_id, "
                            f"toDateTime64('{at}', 6, 'UTC'), {columns} FROM {RAW} "
                            f"WHERE event_id = '{event_id(5)}'")  # fmt: skip
    assert moved.check("profile_log", everything=True) == Checked(9, 1, 1)
    assert moved.noted("SELECT kind FROM migration.differences") == [(TWICE,)]
    assert moved.check("profile_log").different == 1


def test_rows_of_the_tail_are_sealed_and_verified_as_those_of_the_backfill(
    moved: Moving, old: psycopg.Connection
) -> None:
    new = [insert(old, datetime(2026, 1, 1, 0, 0, number)) for number in range(20)]
    moved.poll("profile_log")
    assert moved.check("profile_log") == Checked(11, 0, 0)
    rewrite(moved, f"UPDATE source = 'x' WHERE event_id = '{event_id(new[7])}'")
    assert moved.check("profile_log", everything=True) == Checked(10, 1, 1)
    assert moved.noted("SELECT kind, detail FROM migration.differences") == [("differs", "source")]


def test_a_deep_check_reads_again_only_what_may_have_changed(moved: Moving, old: psycopg.Connection) -> None:
    def deep(**more: bool) -> tuple[bool, Checked]:
        """Whether seals were made again, and what was found."""
        before = moved.noted("SELECT min(sealed_at) FROM migration.chunks")
        found = moved.check("profile_log", deep=True, **more)
        return moved.noted("SELECT min(sealed_at) FROM migration.chunks") != before, found

    assert deep() == (True, Checked(10, 0, 0))
    assert deep() == (False, Checked(10, 0, 0))
    assert deep(everything=True) == (True, Checked(10, 0, 0))
    old.execute("UPDATE profile_log SET source = 'x' WHERE id = 3")
    old.execute("SELECT pg_stat_force_next_flush()")
    assert deep() == (True, Checked(9, 1, 1))


def test_odd_lists_count_as_their_objects_do_and_rows_that_can_be_no_events_do_not(
    moving: Moving, old: psycopg.Connection
) -> None:
    for metrics in (
        {"likes": 7, "kind": "an object"}, [{"key": "likes", "value": 1}, {"key": "likes", "value": 2}],
        [{"key": "likes", "value": 1}, {"key": "likes"}], [{"key": "likes", "value": "1"}, "x", {"value": 3}], None, [],
    ):  # fmt: skip
        profile(old, None if metrics is None else Jsonb(metrics))
    profile(old, Jsonb([{"key": "likes", "value": 5}]), platform=None)
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    assert moving.nightly_totals("profile_log").mismatches == []
    stored = query(moving.ingest_url, f"SELECT JSONExtractRaw(metrics, 'likes') AS n FROM {RAW} FINAL WHERE n != ''")
    assert sorted(stored.split()) == ['"1"', "2", "7", "null"]


def test_a_rejected_row_that_was_corrected_and_repaired_counts_again(moving: Moving, old: psycopg.Connection) -> None:
    wrong = profile(old, Jsonb([{"key": "likes", "value": 5}]), platform=None)
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    old.execute("UPDATE profile_log SET platform = 'INSTAGRAM' WHERE id = %s", [wrong])
    assert moving.check("profile_log", deep=True).differences == 1
    assert moving.repair("profile_log") == 1
    assert moving.check("profile_log") == Checked(1, 0, 0)
    assert moving.nightly_totals("profile_log").mismatches == []


def test_no_row_of_a_day_is_before_what_was_known_a_day_earlier(moved: Moving, old: psycopg.Connection) -> None:
    with psycopg.connect(moved.state_url, autocommit=True) as own:
        own.execute("UPDATE migration.looks SET looked_at = '2026-01-10 02:00+00', next_id = 2000")
    assert [moved.first_id_of("profile_log", date(2026, 1, day)) for day in (10, 11, 12)] == [0, 0, 2000]
