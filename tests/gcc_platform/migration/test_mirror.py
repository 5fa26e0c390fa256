"""PostgreSQL's rows are mirrored once each, whoever wrote them, and none that commits late is missed."""

import asyncio
import multiprocessing
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gcc_platform.migration import legacy_database, state
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.mirror import Mirror
from ingest_service.clickhouse.client import connected
from tests.dbt_project import dbt
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill
from tests.gcc_platform.migration.test_backfill import pairs, profile
from tests.harness.running import eventually, query


async def _mirror(moving: Moving, table: str, *, wait: bool, batch: int, most: int) -> int | None:
    async with (
        state.connected(moving.state_url) as own,
        legacy_database.reading(moving.legacy_url) as old,
        connected(moving.clickhouse_url, 60) as clickhouse,
    ):
        await state.create(own)
        mirror = Mirror(own, old, clickhouse, LEGACY_TABLES[table], moving.database, batch, most)
        return await mirror.catch_up(lambda: None) if wait else await mirror.advance()


def mirror(
    moving: Moving, table: str = "profile_log", *, wait: bool = True, batch: int = 1000, most: int = 10_000
) -> int | None:
    """The rows that were copied; None if some ids are not decided."""
    return asyncio.run(_mirror(moving, table, wait=wait, batch=batch, most=most))


def mirrored(moving: Moving, columns: str = "count()", table: str = "profile_log") -> list[str]:
    answer = query(moving.clickhouse_url, f"SELECT {columns} FROM _legacy.{table}_events FINAL ORDER BY 1")
    return answer.splitlines()


@pytest.fixture
def empty(moving: Moving, old: psycopg.Connection) -> Moving:
    query(moving.clickhouse_url, "DROP DATABASE IF EXISTS _legacy")
    moving.prepare("profile_log")
    return moving


def test_rows_of_all_crawlers_are_mirrored_with_the_identity_of_their_events(
    empty: Moving, old: psycopg.Connection
) -> None:
    event_id = str(uuid4())
    profile(old, pairs(followers=7))
    profile(old, event_id=event_id)
    assert mirror(empty) == 2
    assert mirror(empty) == 0
    empty.plan("profile_log")
    empty.backfill("profile_log")
    made = [row["event_id"] for row in empty.stored("profile_log", "event_id")]
    assert {*mirrored(empty, "event_id")} == {*made, event_id}
    assert mirrored(empty, "uniqExact(metrics), max(followers)") == ["2\t7"]


def test_a_row_that_commits_late_is_waited_for_and_nobody_waits_in_a_daemon(
    empty: Moving, old: psycopg.Connection
) -> None:
    with psycopg.connect(empty.legacy_url) as late:
        late.execute("INSERT INTO profile_log (platform, profile_id, timestamp) VALUES ('X', 'late', '2026-01-01')")
        profile(old)
        assert mirror(empty, wait=False) is None
        assert mirrored(empty) == ["0"]
        late.commit()
    assert mirror(empty) == 2
    assert mirrored(empty) == ["2"]


def test_the_tail_mirrors_the_tables_that_the_warehouse_still_reads(
    operator: Operator, empty: Moving, old: psycopg.Connection
) -> None:
    profile(old)
    operator.run("init", "post_log")
    for table in ("profile_log", "post_log"):
        operator.run("backfill", table)
    operator.setting("GCC_LEGACY_TABLES", "profile_log, post_log")
    operator.run("tail", "profile_log", "--once")
    operator.run("tail", "profile_log", "--once")
    assert mirrored(empty) == ["1"]
    operator.setting("GCC_LEGACY_TABLES", "profiles")
    assert "unknown table 'profiles'" in operator.run("tail", "--once", code=1)


def test_the_warehouse_reads_the_named_tables_from_the_mirror(stack: Mapping[str, str], tmp_path: Path) -> None:
    inline = "select * from {{ source('beat', 'profile_log_events') }}, {{ source('beat', 'post_log_events') }}"
    compiled = dbt.start(
        stack, tmp_path, "compile", "--inline", inline, environment={"DBT_LEGACY_TABLES": "profile_log,order_log"}
    )
    output, _ = compiled.communicate(timeout=120)
    assert compiled.returncode == 0, output
    assert "from `_legacy`.`profile_log_events`, `_e`.`post_log_events`" in output


def scrape_requests(old: psycopg.Connection, *statuses: str) -> None:
    for status in statuses:
        old.execute(
            "INSERT INTO scrape_request_log (platform, flow, status, scraped_at) VALUES ('X', 'f', %s, '2026-01-01')",
            [status],
        )


def test_rows_that_are_completed_later_are_mirrored_then_and_the_others_not_again(
    empty: Moving, old: psycopg.Connection
) -> None:
    scrape_requests(old, "COMPLETE", "PROCESSING", "PROCESSING", "FAILED")
    empty.prepare("scrape_request_log")
    assert mirror(empty, "scrape_request_log") == 2
    assert mirror(empty, "scrape_request_log") == 0
    old.execute("UPDATE scrape_request_log SET status = 'COMPLETE' WHERE id = 2")
    old.execute("DELETE FROM scrape_request_log WHERE id = 3")
    assert mirror(empty, "scrape_request_log") == 1
    assert mirrored(empty, table="scrape_request_log") == ["3"]
    assert empty.noted("SELECT count(*) FROM migration.mirror_unfinished") == [(0,)]


def test_a_mirror_that_is_killed_goes_on_where_it_was(empty: Moving, old: psycopg.Connection) -> None:
    fill(old, 3000)
    worker = multiprocessing.get_context("spawn").Process(target=mirror, args=(empty,), kwargs={"batch": 20})
    worker.start()
    copied = "SELECT rows FROM migration.mirror"
    eventually(lambda: [row for row in empty.noted(copied) if row[0] > 100], 60, "some batches are copied")
    worker.kill()
    worker.join()
    [(before,)] = empty.noted(copied)
    assert 100 < before < 3000
    assert mirror(empty) == 3000 - before
    assert mirrored(empty) == ["3000"]


def test_a_look_is_bounded_so_that_other_tables_wait_for_none(empty: Moving, old: psycopg.Connection) -> None:
    fill(old, 100)
    assert mirror(empty, wait=False, batch=20, most=40) == 40
    assert mirror(empty, wait=False, batch=20, most=40) == 40
    assert mirror(empty, wait=True, batch=20, most=40) == 20
    assert mirrored(empty) == ["100"]
