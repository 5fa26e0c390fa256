"""At size: marts of a million rows are the same from both sides; a cell and a row that ClickHouse lost are found.

The short form is test_marts.py. This one plants its faults in the raw tables, before the marts are built:
GCC_MARTS_ROWS=1000000 pytest -n 0 -s tests/gcc_platform/migration/test_comparing_marts.py
"""

import asyncio
import os
import time
from datetime import datetime

import psycopg
import pytest

from gcc_platform.migration import legacy_database
from gcc_platform.migration.rehearsal.old_rows import fill
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator
from tests.harness.running import query

ROWS = int(os.environ.get("GCC_MARTS_ROWS", "0"))
TABLES = ("profile_log", "post_log")
UNTIL = datetime(2026, 3, 1)
YEARS = 60 / 365.25

pytestmark = pytest.mark.skipif(not ROWS, reason="GCC_MARTS_ROWS is not set: it takes minutes")


async def _fill(url: str) -> None:
    async with legacy_database.writing(url) as old:
        for table in TABLES:
            await fill(old, table, ROWS // len(TABLES), YEARS, UNTIL)


def compare(operator: Operator, code: int) -> list[str]:
    """The lines of a comparison; the seconds of each step are printed."""
    process = operator.start("check", *TABLES, "--level", "marts", "--until", "2026-03-01", "--mart-days", "0")
    assert process.stderr is not None
    assert process.stdout is not None
    began, step = time.monotonic(), "starting"
    for line in process.stderr:
        print(f"  {time.monotonic() - began:6.1f} s {step}")
        began, step = time.monotonic(), line.strip()
    print(f"  {time.monotonic() - began:6.1f} s {step}")
    lines = process.stdout.read().splitlines()
    print("\n".join(lines))
    assert process.wait() == code
    return lines


def change_a_cell(moving: Moving) -> str:
    """In the raw table: the followers of a profile's newest event, which no merge brings back. The profile."""
    profile, event_id = query(
        moving.ingest_url,
        "SELECT profile_id, argMax(event_id, event_timestamp) FROM _e.profile_log_events "
        "WHERE platform = 'INSTAGRAM' GROUP BY profile_id HAVING argMax(followers, event_timestamp) > 0 "
        "ORDER BY profile_id LIMIT 1",
    ).split()
    query(
        moving.ingest_url,
        """ALTER TABLE _e.profile_log_events UPDATE metrics = replaceOne(metrics, '"followers": ', '"followers": 1') """
        f"WHERE event_id = '{event_id}' SETTINGS mutations_sync = 2",
    )
    return profile


def delete_a_row(moving: Moving) -> str:
    """In the raw table: the last event of a post that has no two on a day. The post."""
    shortcode, event_id = query(
        moving.ingest_url,
        "SELECT shortcode, argMax(event_id, event_timestamp) FROM _e.post_log_events GROUP BY shortcode "
        "HAVING count() = uniqExact(toDate(event_timestamp)) ORDER BY shortcode LIMIT 1",
    ).split()
    query(
        moving.ingest_url,
        f"ALTER TABLE _e.post_log_events DELETE WHERE event_id = '{event_id}' SETTINGS mutations_sync = 2",
    )
    return shortcode


def test_a_changed_cell_and_a_lost_row_of_the_raw_tables_are_found_in_the_marts(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    operator.setting("GCC_MIGRATION_CHUNK_ROWS", "100000")
    asyncio.run(_fill(moving.legacy_url))
    operator.run("init", *TABLES)
    operator.run("backfill", *TABLES)
    equal = compare(operator, 0)
    assert not [line for line in equal if "no equal" in line]
    compared = [int(line.split()[1]) for line in equal if line.endswith(" rows are equal")]
    print(f"{sum(map(bool, compared))} marts and intermediate tables that are not empty, {sum(compared):,} rows")

    profile = change_a_cell(moving)
    assert [line for line in compare(operator, 1) if profile in line and ": followers, audience" in line]
    shortcode = delete_a_row(moving)
    assert [line for line in compare(operator, 1) if shortcode in line and line.endswith(": only of rows")]
