"""Events that only ClickHouse has become rows of the old tables, once each, so that going back loses nothing."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from gcc_platform.migration.reverse.arrivals import OVERLAP, overlap
from gcc_platform.migration.reverse.refusals import TableRefuses
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile
from tests.gcc_platform.migration.test_transform import KEYS, ON_SERVERS, VALUES, exact, exactly
from tests.harness.running import eventually, query

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


def noted_ids(moving: Moving) -> set[str]:
    return {event_id for (event_id,) in moving.noted("SELECT event_id::text FROM migration.unwritten")}


def test_an_event_that_postgresql_cannot_store_is_noted_and_the_others_are_written(
    reverse: Moving, old: psycopg.Connection
) -> None:
    bad = [
        event(dimensions=json.dumps({"bio": "a\0b"})),
        event(dimensions='{"bio": "\\ud83d"}'),  # half a character
        event(metrics='{"followers": 1e200000}'),
        event(metrics='{"a": ' + "[" * 20_000 + "]" * 20_000 + "}"),
        event(profile_id=os.urandom(4000).hex()),  # too long for the index
    ]
    not_text = str(uuid4())
    arrive(reverse, [event(), *bad, event(), event()])
    query(
        reverse.ingest_url,
        "INSERT INTO _e.profile_log_events (event_id, platform, profile_id, event_timestamp) "
        f"VALUES ('{not_text}', 'INSTAGRAM', unhex('FF41'), now64(6))",
    )
    done = reverse.reverse("profile_log")
    assert (done.read, done.written, done.refused) == (9, 3, 6)
    assert noted_ids(reverse) == {not_text, *(each["event_id"] for each in bad)}
    assert all(reason for (reason,) in reverse.noted("SELECT reason FROM migration.unwritten"))


REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.source = 'bad' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON profile_log FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_what_a_trigger_refuses_is_noted_and_tried_again_at_the_next_start(
    reverse: Moving, old: psycopg.Connection
) -> None:
    old.execute(REFUSING.format(code="P0001").encode())
    first, second = event(source="bad"), event(source="bad", profile_id="\0")
    arrive(reverse, [event(), first, event(), second])
    assert reverse.reverse("profile_log").refused == 2
    assert reverse.retry_refused("profile_log").refused == 2
    old.execute("DROP FUNCTION refuse CASCADE")
    done = reverse.retry_refused("profile_log")
    assert (done.written, done.refused) == (1, 1)
    assert noted_ids(reverse) == {second["event_id"]}
    assert len(rows(old)) == 3


def test_a_full_disk_is_about_no_event_and_the_next_poll_brings_all(reverse: Moving, old: psycopg.Connection) -> None:
    old.execute(REFUSING.format(code="53100").encode())
    sources = ["graphapi"] * 37 + ["bad"] + ["graphapi"] * 22
    arrive(
        reverse,
        [event(event_timestamp=f"2026-01-02 03:04:05.{n:06}", source=source) for n, source in enumerate(sources)],
    )
    with reverse.reversing("profile_log", most=5) as poll:
        with pytest.raises(psycopg.errors.DiskFull):
            poll()
        assert len(rows(old)) == 35
        assert noted_ids(reverse) == set()
        old.execute("DROP FUNCTION refuse CASCADE")
        assert poll().read == 60
    assert len({row[0] for row in rows(old)}) == 60


def test_a_writer_needs_no_more_rights_than_documented_and_names_the_one_that_it_lacks(
    reverse: Moving, old: psycopg.Connection
) -> None:
    tables = "profile_log, insta_account_ts"
    old.execute(f"CREATE ROLE back LOGIN PASSWORD 'x'; GRANT SELECT, INSERT ON {tables} TO back".encode())
    reverse.legacy_url = reverse.legacy_url.replace("postgres:secret@", "back:x@")
    try:
        old.execute("GRANT CONNECT ON DATABASE gcc TO back; GRANT USAGE ON SCHEMA public TO back")
        arrive(reverse, [event()])
        with pytest.raises(
            TableRefuses, match=r"profile_log in the old .*permission denied for sequence profile_log_id"
        ):
            reverse.reverse("profile_log")
        assert noted_ids(reverse) == set()
        old.execute("GRANT USAGE ON SEQUENCE profile_log_id_seq, insta_account_ts_id_seq TO back")
        assert reverse.reverse("profile_log").written == 1
    finally:
        old.execute("DROP OWNED BY back; DROP ROLE back")


def test_a_list_that_an_object_could_not_hold_comes_back_word_for_word(
    reverse: Moving, old: psycopg.Connection
) -> None:
    odd = [5, {"key": "a", "value": 1}, {"value": 2}]
    arrive(reverse, [event(metrics='{"a": 1}', extra=json.dumps({"metrics": odd}))])
    reverse.reverse("profile_log")
    assert rows(old, "metrics") == [(odd,)]


def test_ids_follow_the_time_of_what_arrived_together(reverse: Moving, old: psycopg.Connection) -> None:
    """Readers page by id."""
    arrive(reverse, [event(event_timestamp=f"2026-01-02 03:04:05.{n:06}") for n in range(100)])
    with reverse.reversing("profile_log", most=30) as poll:
        poll()
    times = [at for (at,) in rows(old, "timestamp")]
    assert times == sorted(times)
    assert len(set(times)) == 100
    series = [at for (at,) in rows(old, "timestamp", "insta_account_ts")]
    assert series == times


def test_a_merge_costs_a_read_and_hides_no_event(reverse: Moving, old: psycopg.Connection) -> None:
    raw = LEGACY_TABLES["profile_log"].raw_table
    twice = event(insert_timestamp=reverse.minutes_ago(3))
    with reverse.reversing("profile_log") as poll:
        arrive(reverse, [twice, event(insert_timestamp=twice["insert_timestamp"])])
        arrive(reverse, [twice | {"insert_timestamp": reverse.minutes_ago(1)}])
        assert (found := poll()).written == 2, found
        query(reverse.ingest_url, f"OPTIMIZE TABLE {raw} FINAL")
        late = event(insert_timestamp=twice["insert_timestamp"])  # the minute has as many rows as before
        arrive(reverse, [late])
        done = poll()
        assert (done.read, done.written) == (2, 1)
    assert (late["event_id"],) in [(str(row[0]),) for row in rows(old)]


def test_an_insert_that_takes_long_is_found_if_its_limit_is_as_long(reverse: Moving, old: psycopg.Connection) -> None:
    assert overlap(120.0) == OVERLAP
    with reverse.reversing("profile_log", overlap=overlap(900.0)) as poll:
        poll()
        arrive(reverse, [event(insert_timestamp=reverse.minutes_ago(25))])
        assert poll().written == 1


@pytest.mark.parametrize("commits", [True, False])
def test_a_row_that_is_not_committed_yet_is_waited_for_and_its_commit_never_fails(
    reverse: Moving, old: psycopg.Connection, commits: bool
) -> None:
    """Of a crawler whose event came before its commit; that of a dual-writing session comes after it."""
    early = event()
    with psycopg.connect(reverse.legacy_url) as crawler, ThreadPoolExecutor(1) as beside:
        profile(crawler, event_id=early["event_id"])
        arrive(reverse, [early, event()])
        polled = beside.submit(reverse.reverse, "profile_log")
        eventually(lambda: old.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'transactionid'").rowcount)
        if commits:
            crawler.commit()
        else:
            crawler.rollback()
        assert polled.result().written == (1 if commits else 2)
    assert len({row[0] for row in rows(old)}) == len(rows(old)) == 2


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
    """Its session ends in the middle of inserts, five times or so."""
    old.execute(
        """CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF random() < 0.005 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$;
        CREATE TRIGGER cut AFTER INSERT ON profile_log FOR EACH ROW EXECUTE FUNCTION cut()"""
    )
    arrive(reverse, [event() for _ in range(1000)])

    def cut_off() -> bool:
        try:
            with reverse.reversing("profile_log", most=100) as poll:
                poll()
        except psycopg.OperationalError:
            return True
        return False

    assert cut_off(), "nothing was cut off: the test proves nothing"
    while cut_off():
        pass
    found = rows(old)
    assert len(found) == len({row[0] for row in found}) == 1000


def test_an_index_whose_creation_was_interrupted_is_built_again(reverse: Moving, old: psycopg.Connection) -> None:
    old.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'profile_log_event_id'::regclass")
    reverse.prepare("profile_log")
    arrive(reverse, [event()])
    assert reverse.reverse("profile_log").written == 1
