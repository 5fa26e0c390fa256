"""Events that only ClickHouse has become rows of the old tables, once each, so that going back loses nothing."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile
from tests.gcc_platform.migration.test_transform import KEYS, ON_SERVERS, VALUES, exact, exactly
from tests.harness.running import query

Event = dict[str, Any]
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def event(**more: Any) -> Event:
    return {
        "event_id": str(uuid4()),
        "platform": "INSTAGRAM",
        "profile_id": "p1",
        "source": "graphapi",
        "event_timestamp": "2026-01-02 03:04:05.678901",
        "metrics": '{"followers": 7}',
        "dimensions": '{"handle": "é\\\\n\\t\\\\"}',
        **more,
    }


def arrive(moving: Moving, events: Sequence[Event], table: str = "profile_log") -> None:
    """As the ingest service inserts them."""
    raw = LEGACY_TABLES[table].raw_table
    lines = "\n".join(json.dumps(each) for each in events)
    query(
        moving.ingest_url,
        f"INSERT INTO {raw} SETTINGS date_time_input_format = 'best_effort' FORMAT JSONEachRow {lines}",
    )


@pytest.fixture
def reverse(moving: Moving, old: psycopg.Connection) -> Moving:
    moving.prepare(*LEGACY_TABLES)
    return moving


def rows(old: psycopg.Connection, columns: str = "event_id", table: str = "profile_log") -> list[tuple[Any, ...]]:
    return old.execute(f"SELECT {columns} FROM {table} ORDER BY id".encode()).fetchall()


def as_object(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in pairs}


def test_an_event_becomes_the_row_that_its_crawler_would_have_written(reverse: Moving, old: psycopg.Connection) -> None:
    reverse.database = Database(zones={"profile_log": "Asia/Kolkata"})
    arrive(reverse, [event()])
    done = reverse.reverse("profile_log")
    assert (done.read, done.written, done.refused) == (1, 1, 0)
    [(platform, name, source, at, metrics, dimensions)] = rows(
        old, "platform, profile_id, source, timestamp, metrics, dimensions"
    )
    assert (platform, name, source) == ("INSTAGRAM", "p1", "graphapi")
    utc = datetime(2026, 1, 2, 3, 4, 5, 678901, ZoneInfo("UTC"))
    assert at == utc.astimezone(ZoneInfo("Asia/Kolkata")).replace(tzinfo=None)
    assert metrics == [{"key": "followers", "value": 7}]
    assert dimensions == [{"key": "handle", "value": "é\\n\t\\"}]


@ON_SERVERS
@given(st.lists(st.tuples(OBJECTS, OBJECTS), min_size=1, max_size=40))
def test_any_object_is_a_list_of_its_pairs_and_becomes_the_same_event_again(
    reverse: Moving, old: psycopg.Connection, objects: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    reverse.forget()
    reverse.prepare("profile_log")
    old.execute("TRUNCATE profile_log")
    events = [event(metrics=json.dumps(metrics), dimensions=json.dumps(dimensions)) for metrics, dimensions in objects]
    arrive(reverse, events)
    assert reverse.reverse("profile_log").written == len(events)
    table = LEGACY_TABLES["profile_log"]
    again = old.execute(
        f"SELECT event_id::text, metrics::text, dimensions::text, event_timestamp::text "
        f"FROM ({table.events_sql(Database(), 'true')}) AS e".encode()
    ).fetchall()
    found = {event_id: (exactly(metrics), exactly(dimensions)) for event_id, metrics, dimensions, _ in again}
    assert found == {
        each["event_id"]: (exact(metrics), exact(dimensions))
        for each, (metrics, dimensions) in zip(events, objects, strict=True)
    }


@pytest.mark.parametrize("name", [name for name, table in LEGACY_TABLES.items() if not table.is_queue])
def test_a_row_of_every_table_comes_back_as_it_was(reverse: Moving, old: psycopg.Connection, name: str) -> None:
    table = LEGACY_TABLES[name]
    values: dict[str, Any] = dict.fromkeys({*table.required, table.time, "source"}, "x") | {table.time: "2026-01-01"}
    values |= {"score": "0.25"} if "score" in values else {}
    values |= {column: Jsonb([{"key": column, "value": 1}]) for column in table.lists}
    columns = ", ".join(values)
    old.execute(
        f"INSERT INTO {name} ({columns}) VALUES ({', '.join(['%s'] * len(values))})".encode(), [*values.values()]
    )
    reverse.plan(name)
    reverse.backfill(name)
    raw = table.raw_table
    others = ", ".join(column for column in table.event_columns if column != "event_id")
    query(reverse.ingest_url, f"INSERT INTO {raw} (event_id, {others}) SELECT generateUUIDv4(), {others} FROM {raw}")
    assert reverse.reverse(name).written == 1
    first, second = rows(old, columns, name)
    assert second == first


def test_rows_of_dual_writing_crawlers_are_found_and_not_written_again(
    reverse: Moving, old: psycopg.Connection
) -> None:
    dual = event()
    profile(old, event_id=dual["event_id"])
    arrive(reverse, [dual, event()])
    done = reverse.reverse("profile_log")
    assert (done.read, done.written) == (2, 1)
    assert len(rows(old)) == 2


def test_what_was_made_of_old_rows_is_not_written_back(reverse: Moving, old: psycopg.Connection) -> None:
    profile(old)
    reverse.plan("profile_log")
    reverse.backfill("profile_log")
    assert reverse.reverse("profile_log").read == 0
    assert len(rows(old)) == 1


def test_the_tail_takes_nothing_of_what_was_written_back(reverse: Moving, old: psycopg.Connection) -> None:
    reverse.plan("profile_log")
    arrive(reverse, [event() for _ in range(5)])
    reverse.reverse("profile_log")
    assert reverse.poll("profile_log") == 0
    assert len(reverse.stored("profile_log")) == 5


def test_a_second_look_reads_only_minutes_in_which_something_arrived(reverse: Moving, old: psycopg.Connection) -> None:
    with reverse.reversing("profile_log") as poll:
        arrive(reverse, [event() for _ in range(3)])
        assert poll().written == 3
        assert poll().read == 0
        late = event(insert_timestamp=reverse.minutes_ago(5))
        arrive(reverse, [late])
        done = poll()
        assert (done.read, done.written) == (1, 1)


def test_batches_smaller_than_a_minute_bring_all_of_it(reverse: Moving, old: psycopg.Connection) -> None:
    arrive(reverse, [event() for _ in range(250)])
    with reverse.reversing("profile_log", most=20) as poll:
        assert poll().written == 250
    assert len({row[0] for row in rows(old)}) == 250


def test_an_event_that_postgresql_cannot_store_is_noted_and_the_others_are_written(
    reverse: Moving, old: psycopg.Connection
) -> None:
    zero = event(dimensions=json.dumps({"bio": "a\0b"}))
    large = event(metrics='{"followers": 1e200000}')
    arrive(reverse, [event(), zero, event(), large, event()])
    done = reverse.reverse("profile_log")
    assert (done.read, done.written, done.refused) == (5, 3, 2)
    noted = reverse.noted("SELECT event_id::text, reason FROM migration.unwritten")
    assert {event_id for event_id, _ in noted} == {zero["event_id"], large["event_id"]}
    assert all(reason for _, reason in noted)


def test_series_of_instagram_are_filled_for_new_rows_only(reverse: Moving, old: psycopg.Connection) -> None:
    dual = event()
    profile(old, event_id=dual["event_id"])
    arrive(
        reverse, [dual, event(metrics='{"followers": 9, "posts": 3, "avg_likes": 1.5, "following": "x"}', handle="h")]
    )
    arrive(reverse, [event(platform="YOUTUBE")])
    arrive(reverse, [event(shortcode="C1", metrics='{"likes": 4}')], "post_log")
    reverse.reverse("profile_log")
    reverse.reverse("post_log")
    assert rows(old, "profile_id, handle, followers, following, media_count, avg_likes", "insta_account_ts") == [
        ("p1", "h", 9, None, 3, 1.5)
    ]
    assert rows(old, "shortcode, likes, plays", "insta_post_ts") == [("C1", 4, None)]


def test_a_database_without_the_tables_of_series_is_written_to_as_well(
    reverse: Moving, old: psycopg.Connection
) -> None:
    old.execute("DROP TABLE insta_account_ts")
    arrive(reverse, [event()])
    assert reverse.reverse("profile_log").written == 1


def test_nothing_is_lost_or_doubled_when_the_writer_is_cut_off_in_the_middle(
    reverse: Moving, old: psycopg.Connection
) -> None:
    arrive(reverse, [event() for _ in range(3000)])
    stopped, cuts = threading.Event(), 0

    def cut(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stopped.wait(0.05):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND query LIKE 'WITH new AS%' AND state = 'active'"
                )

    cutting = threading.Thread(target=cut, args=[reverse.legacy_url])
    cutting.start()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        try:
            with reverse.reversing("profile_log", most=100) as poll:
                poll()
        except psycopg.OperationalError:
            cuts += 1
    stopped.set()
    cutting.join()
    reverse.reverse("profile_log")
    found = rows(old)
    assert cuts, "nothing was cut off: the test proves nothing"
    assert len(found) == len({row[0] for row in found}) == 3000
