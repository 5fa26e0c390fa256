"""A row of a table of series becomes an event only if its log row was deleted before anybody brought it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_table import Database
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator
from tests.gcc_platform.migration.test_backfill import profile
from tests.gcc_platform.migration.test_reverse import arrive, event

AT = datetime(2026, 1, 2, 3, 4, 5, 678901)


def account(old: psycopg.Connection, name: str, at: datetime = AT, followers: int | None = 7) -> int:
    """Insert a row of series; its id."""
    [(made,)] = old.execute(
        "INSERT INTO insta_account_ts (profile_id, handle, followers, avg_likes, timestamp) "
        "VALUES (%s, 'é', %s, 1.5, %s) RETURNING id",
        [name, followers, at],
    ).fetchall()
    return int(made)


def bring(moving: Moving, log: str = "profile_log", series: str = "insta_account_ts") -> None:
    moving.prepare(log)
    for table in (log, series):
        moving.plan(table)
        moving.backfill(table)


def of_series(moving: Moving, table: str = "profile_log") -> Sequence[Mapping[str, Any]]:
    return [row for row in moving.stored(table) if row["event_id"].startswith(("67636300-0009", "67636300-000a"))]


def test_a_row_whose_log_row_was_deleted_is_an_event(old: psycopg.Connection, moving: Moving) -> None:
    moving.database = Database({"profile_log": "Asia/Kolkata"})
    row = account(old, "gone", followers=None)
    bring(moving)
    [stored] = of_series(moving)
    assert stored["event_id"] == str(Origin(9, 0, row).event_id())
    assert stored["event_timestamp"] == "2026-01-01 21:34:05.678901"
    assert (stored["platform"], stored["profile_id"], stored["handle"]) == ("INSTAGRAM", "gone", "é")
    assert json.loads(stored["metrics"]) == {"avg_likes": 1.5}
    assert json.loads(stored["dimensions"]) == {"handle": "é"}


def test_a_row_whose_log_row_is_there_or_was_brought_by_any_way_is_left_out(
    old: psycopg.Connection, moving: Moving
) -> None:
    moving.database = Database({"profile_log": "Asia/Kolkata"})
    for name in ("there", "brought", "published", "gone"):
        account(old, name)
    profile(old, profile_id="there")
    deleted = profile(old, profile_id="brought")
    moving.prepare("profile_log")
    moving.plan("profile_log")
    moving.backfill("profile_log")
    old.execute("DELETE FROM profile_log WHERE id = %s", [deleted])
    arrive(moving, [event(profile_id="published", event_timestamp="2026-01-01 21:34:05.678901")])
    bring(moving)
    assert [row["profile_id"] for row in of_series(moving)] == ["gone"]
    assert len(moving.stored("profile_log")) == 4


def test_a_chunk_that_is_done_again_brings_the_same_rows(old: psycopg.Connection, moving: Moving) -> None:
    for number in range(5):
        account(old, f"p{number}")
    bring(moving)
    before = of_series(moving)
    with psycopg.connect(moving.state_url, autocommit=True) as own:
        own.execute("UPDATE migration.chunks SET state = 'running', copied_sum = 0, rows_written = 0")
    moving.backfill("insta_account_ts")
    assert [row["event_id"] for row in of_series(moving)] == [row["event_id"] for row in before]
    assert len(before) == 5
    assert moving.noted(
        "SELECT rows_written, copied_sum > 0 FROM migration.chunks WHERE legacy_table = 'insta_account_ts'"
    ) == [(5, True)]


def test_a_post_has_the_profile_that_its_log_names_and_is_rejected_without_one(
    old: psycopg.Connection, moving: Moving
) -> None:
    old.execute(
        "INSERT INTO post_log (platform, platform_post_id, profile_id, timestamp) VALUES ('INSTAGRAM', 'C1', 'p', %s)",
        [AT + timedelta(days=1)],
    )
    old.execute("INSERT INTO insta_post_ts (shortcode, likes, timestamp) VALUES ('C1', 4, %s), ('C2', 5, %s)", [AT, AT])
    bring(moving, "post_log", "insta_post_ts")
    [stored] = of_series(moving, "post_log")
    assert (stored["shortcode"], stored["profile_id"], stored["metrics"]) == ("C1", "p", '{"likes": 4}')
    assert moving.noted("SELECT legacy_table, id, reason FROM migration.rejected") == [
        ("insta_post_ts", 2, "missing_field")
    ]


def test_series_are_brought_after_their_logs_and_both_checks_stay_equal(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    profile(old)
    account(old, "gone")
    operator.run("init")
    waiting = operator.start("backfill", "insta_account_ts")
    assert "insta_account_ts: is brought after profile_log" in waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 1
    assert "insta_account_ts: 1 of 1 chunks done, 1 rows, 0 rejected" in operator.run("backfill")
    checked = operator.run("check", "profile_log", "insta_account_ts", "--days", "0")
    assert "profile_log: totals are equal" in checked
    assert "insta_account_ts: 1 chunks are equal" in checked
    assert {UUID(row["event_id"]) for row in moving.stored("profile_log", "event_id")} == {
        Origin(1, 0, 1).event_id(),
        Origin(9, 0, 1).event_id(),
    }
