"""gcc-platform migration, as an operator runs it; and killed, as machines do."""

import random
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg

from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill
from tests.gcc_platform.migration.test_reverse import arrive, event
from tests.harness.running import eventually, query

RAW = LEGACY_TABLES["profile_log"].raw_table


def test_a_table_moves_from_the_preparation_to_equal_checksums(operator: Operator, old: psycopg.Connection) -> None:
    fill(old, 1200)
    operator.run("init")
    assert "profile_log: has the column event_id and its index" in operator.run("init", "profile_log")
    assert operator.run("backfill", "profile_log") == "profile_log: 3 of 3 chunks done, 1200 rows, 0 rejected\n"
    fill(old, 7)
    operator.run("tail", "profile_log", "--once")
    assert operator.run("check", "profile_log", "--level", "rows") == "profile_log: 4 chunks are equal\n"
    [status] = operator.status()
    assert (status["table"], status["done"], status["sealed"], status["tail_rows"]) == ("profile_log", 4, 4, 7)
    assert "profile_log" in operator.run("status")


def test_what_is_missing_is_found_repaired_and_then_equal(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    fill(old, 1200)
    operator.run("init")
    operator.run("backfill", "profile_log")
    query(moving.ingest_url, f"ALTER TABLE {RAW} DELETE WHERE event_id = '{Origin(1, 0, 700).event_id()}' "
                             "SETTINGS mutations_sync = 2")  # fmt: skip
    found = operator.run("check", "profile_log", code=1)
    assert "profile_log: 2 chunks are equal, 1 differ, in 1 rows" in found
    assert "2 totals differ" in found
    assert operator.status()[0]["open_differences"] == {"only in PostgreSQL": 1}
    assert operator.run("repair", "profile_log") == "profile_log: 1 rows sent from PostgreSQL\n"
    operator.run("check", "profile_log")
    assert operator.status()[0]["open_differences"] == {}


def test_rows_whose_events_are_missing_are_found_with_their_cause_and_repaired(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.run("init")
    operator.run("backfill", "profile_log")
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, timestamp, event_id) "
        "SELECT 'YOUTUBE', 'p', (now() AT TIME ZONE 'UTC') - interval '20 minutes', gen_random_uuid() "
        "FROM generate_series(1, 3)"
    )
    rows = ("check", "profile_log", "--level", "rows", "--days", "2")
    assert "3 only in PostgreSQL: lost before the broker" in operator.run(*rows, code=1)
    assert operator.status()[0]["open_differences"] == {"only in PostgreSQL: lost before the broker": 3}
    assert operator.run("repair", "profile_log") == "profile_log: 3 rows sent from PostgreSQL\n"
    assert "3 rows written to both sides, 0 differ" in operator.run(*rows)
    assert operator.status()[0]["open_differences"] == {}


def test_a_log_row_without_its_row_of_series_fails_the_check_of_its_days(
    operator: Operator, old: psycopg.Connection
) -> None:
    operator.run("init")
    operator.run("backfill", "profile_log")
    for table, names in (("profile_log", "platform, profile_id"), ("insta_account_ts", "handle, profile_id")):
        old.execute(
            f"INSERT INTO {table} ({names}, timestamp) SELECT 'INSTAGRAM', 'p' || i, "
            "date_trunc('day', now() AT TIME ZONE 'UTC') FROM generate_series(1, 3) AS i".encode()
        )
    rows = ("check", "profile_log", "--level", "rows")
    assert "3 and 3 rows of these days, each with its counterpart" in operator.run(*rows)
    old.execute("DELETE FROM insta_account_ts WHERE profile_id = 'p2'")
    assert "3 and 2 rows of these days, 1 only in profile_log, 0 only in insta_account_ts" in operator.run(
        *rows, code=1
    )
    assert "counterpart" not in operator.run(*rows, "--days", "0")


def test_rows_that_were_changed_or_deleted_since_are_found_by_a_deep_check(
    operator: Operator, old: psycopg.Connection
) -> None:
    fill(old, 600)
    operator.run("init")
    operator.run("backfill", "profile_log")
    operator.run("check", "profile_log")
    old.execute("UPDATE profile_log SET source = 'x' WHERE id = 3; DELETE FROM profile_log WHERE id = 555")
    operator.run("check", "profile_log", "--level", "rows")
    assert "2 differ, in 2 rows" in operator.run("check", "profile_log", "--level", "rows", "--deep", code=1)
    assert operator.status()[0]["open_differences"] == {"differs": 1, "only in ClickHouse": 1}


def attempts(moving: Moving) -> int:
    return int(moving.noted("SELECT coalesce(sum(attempts), 0) FROM migration.chunks")[0][0])


def has_more_attempts(moving: Moving, before: int) -> bool:
    return attempts(moving) > before


def test_nothing_is_lost_or_doubled_however_often_workers_are_killed(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    fill(old, 12_000)
    operator.run("init")
    moving.plan("profile_log", width=500)
    chance, interrupted = random.Random(1), 0
    for kill in range(6):
        before = attempts(moving)
        worker = operator.start("backfill", "profile_log", "--workers", "2", "--rate", "1500")
        eventually(partial(has_more_attempts, moving, before), 60)
        time.sleep(chance.uniform(0, 0.5))
        if kill % 3 == 2:  # its connection, in the middle of a COPY
            old.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%'")
        worker.kill()
        worker.communicate()
        interrupted += len(moving.noted("SELECT FROM migration.chunks WHERE state = 'running'"))
    assert interrupted, "no worker was killed at work: the test proves nothing"
    assert "24 of 24 chunks done, 12000 rows, 0 rejected" in operator.run("backfill", "profile_log", "--workers", "2")
    assert len(moving.stored("profile_log", "event_id")) == 12_000
    assert "24 chunks are equal" in operator.run("check", "profile_log", "--level", "rows")


def test_ctrl_c_ends_a_backfill_and_the_next_one_goes_on(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    fill(old, 3000)
    operator.run("init")
    moving.plan("profile_log", width=500)
    running = operator.start("backfill", "profile_log", "--rate", "500")
    eventually(lambda: attempts(moving) > 0, 60)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode != 0
    assert "Traceback" not in errors
    assert "6 of 6 chunks done" in operator.run("backfill", "profile_log")


def test_a_row_that_clickhouse_refuses_is_noted_and_the_others_are_brought(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    fill(old, 900)
    old.execute("UPDATE profile_log SET profile_id = 'refused' WHERE id = 321")
    operator.run("init")
    query(moving.ingest_url, f"ALTER TABLE {RAW} ADD CONSTRAINT of_the_test CHECK profile_id != 'refused'")
    try:
        assert "899 rows, 1 rejected" in operator.run("backfill", "profile_log")
    finally:
        query(moving.ingest_url, f"ALTER TABLE {RAW} DROP CONSTRAINT of_the_test")
    assert moving.noted("SELECT id, reason FROM migration.rejected") == [(321, "refused")]
    operator.run("check", "profile_log", "--level", "rows")


def test_a_chunk_that_fails_says_why_and_keeps_no_other_table_from_its_backfill(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    fill(old, 10)
    old.execute(
        "INSERT INTO order_log (platform, platform_order_id, store, timestamp) VALUES ('S', 'o', 's', '2026-01-01')"
    )
    operator.run("init")
    query(moving.ingest_url, f"ALTER TABLE {RAW} RENAME COLUMN handle TO name")
    try:
        found = operator.run("backfill", "profile_log", "order_log", code=1)
    finally:
        query(moving.ingest_url, f"ALTER TABLE {RAW} RENAME COLUMN name TO handle")
    assert "order_log: 1 of 1 chunks done" in found
    assert "handle" in str(operator.status()[0]["error"])
    assert "1 of 1 chunks done" in operator.run("backfill", "profile_log")


def test_the_daemons_outlive_servers_that_are_away_and_stop_at_ctrl_c_and_sigterm(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.run("init")
    operator.run("backfill", "profile_log")
    daemons = [operator.start(name, "profile_log", "--seconds", "0.2") for name in ("tail", "reverse")]
    fill(old, 5)
    eventually(lambda: len(moving.stored("profile_log", "event_id")) == 5, 60)
    old.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gcc migration%'")
    fill(old, 5)
    arrived = str(uuid4())
    query(moving.ingest_url, f"INSERT INTO {RAW} (event_id, platform, profile_id, event_timestamp) "
                             f"VALUES ('{arrived}', 'INSTAGRAM', 'p', now64(6))")  # fmt: skip
    eventually(lambda: len(moving.stored("profile_log", "event_id")) == 11, 60)
    eventually(lambda: bool(old.execute("SELECT FROM profile_log WHERE event_id = %s", [arrived]).rowcount), 60)
    for daemon, number in zip(daemons, (signal.SIGINT, signal.SIGTERM), strict=True):
        daemon.send_signal(number)
        _, errors = daemon.communicate(timeout=30)
        assert daemon.returncode == 0, errors
        assert "Traceback" not in errors


def test_a_table_that_takes_no_rows_is_named_and_keeps_no_other_one_from_its_rows(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.run("init")
    old.execute("DROP INDEX profile_log_event_id")
    for table, column in (("profile_log", "handle"), ("post_log", "shortcode")):
        query(
            moving.ingest_url,
            f"INSERT INTO _e.{table}_events (event_id, platform, profile_id, event_timestamp, {column}) "
            "VALUES (generateUUIDv4(), 'INSTAGRAM', 'p', now64(6), 'C1')",
        )
    refused = operator.run("reverse", "--once", code=1)
    assert "profile_log in the old database takes no rows" in refused
    assert "gcc-platform migration init" in refused
    assert old.execute("SELECT platform_post_id FROM post_log").fetchall() == [("C1",)]
    operator.run("init")
    operator.run("reverse", "--once")
    assert old.execute("SELECT profile_id FROM profile_log").fetchall() == [("p",)]


def test_without_the_old_databases_url_the_error_names_the_setting(
    raw_tables: Mapping[str, str], tmp_path: Path
) -> None:
    assert "GCC_LEGACY_URL is not set: it names the old PostgreSQL" in Operator(raw_tables, tmp_path).run(
        "status", code=2
    )


def test_a_user_who_does_not_see_other_transactions_is_refused(
    raw_tables: Mapping[str, str], moving: Moving, old: psycopg.Connection, tmp_path: Path
) -> None:
    old.execute(
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE gcc TO reader"
    )
    try:
        url = moving.legacy_url.replace("postgres:secret@", "reader:x@")
        refused = Operator({**raw_tables, "GCC_LEGACY_URL": url}, tmp_path).run("tail", "--once", code=1)
        assert 'GRANT pg_read_all_stats TO "reader"' in refused
    finally:
        old.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_the_statements_for_the_dba_are_those_that_init_runs(operator: Operator, old: psycopg.Connection) -> None:
    for statement in operator.run("init", "--print").splitlines():
        old.execute(statement.encode())
    assert old.execute("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%_event_id'").fetchone() == (8,)


def test_what_is_wanted_is_accepted_with_a_reason_and_stays_accepted_while_it_is_the_same(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.run("init", "profile_log")
    fill(old, 10)
    old.execute("INSERT INTO profile_log (profile_id) VALUES ('x')")
    operator.run("backfill", "profile_log")
    arrive(moving, [event(event_timestamp=moving.minutes_ago(60), insert_timestamp=moving.minutes_ago(59))])
    rows = ("check", "profile_log", "--level", "rows")
    operator.run(*rows, code=1)
    cause = "only in ClickHouse: rolled back, deleted since, or of a crawler that writes events only"
    assert operator.status()[0]["open_differences"] == {cause: 1}
    assert "belong together" in operator.run("repair", "--accept", cause, code=2)
    accepted = ("repair", "profile_log", "--because", "a test", "--accept")
    assert operator.run(*accepted, cause) == "profile_log: 1 accepted\n"
    assert operator.run(*accepted, "missing_field") == "profile_log: 1 accepted\n"
    operator.run(*rows)
    assert operator.status()[0]["open_differences"] == {}
    assert operator.status()[0]["rejected"] == 0
    old.execute("DELETE FROM profile_log WHERE id = 3")
    operator.run(*rows, "--deep", code=1)
    operator.run(*accepted, "only in ClickHouse")
    assert operator.run(*rows, "--deep", "--all").startswith("profile_log: 1 chunks are equal\n")
    moving.note("UPDATE migration.differences SET cause = 'another' WHERE day IS NOT NULL")
    operator.run(*rows, code=1)
    assert operator.status()[0]["open_differences"] == {cause: 1}
