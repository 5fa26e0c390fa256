"""Rows of a log and of its table of series witness for each other."""

import asyncio
from datetime import date, datetime

import psycopg
import pytest

from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity import series
from gcc_platform.migration.parity.series import Witness
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile
from tests.gcc_platform.migration.test_reverse import arrive, event

AT = datetime(2026, 1, 2, 3, 4, 5, 678901)
NO_ROWS = ("insta_account_ts", 0, 0, 0, 0)


def account(old: psycopg.Connection, name: str, at: datetime = AT) -> None:
    old.execute("INSERT INTO insta_account_ts (profile_id, timestamp) VALUES (%s, %s)", [name, at])


def witness(url: str, table: str = "profile_log", zone: str = "UTC", day: int = 2) -> Witness | None:
    async def compare() -> Witness | None:
        async with legacy_database.reading(url) as old:
            database = Database({table: zone})
            return await series.compare(old, LEGACY_TABLES[table], database, date(2026, 1, day), date(2026, 1, day + 1))

    return asyncio.run(compare())


def test_rows_that_only_one_of_them_has_are_counted(old: psycopg.Connection, old_server: str) -> None:
    for name in ("p1", "p2", "p2", "p3"):
        profile(old, profile_id=name)
    for name in ("p1", "p2", "p4"):
        account(old, name)
    account(old, "p3", AT.replace(microsecond=0))  # another time is another row
    profile(old, platform="YOUTUBE")
    profile(old, timestamp=datetime(2026, 1, 3))
    found = witness(old_server)
    assert found == Witness("insta_account_ts", 4, 4, only_in_log=2, only_in_series=2)
    assert not found.agrees
    assert witness(old_server, day=20) == Witness(*NO_ROWS)


def test_days_are_those_of_utc_in_the_zone_of_the_table(old: psycopg.Connection, old_server: str) -> None:
    profile(old, timestamp=datetime(2026, 1, 2, 5, 29))  # the first of January by UTC
    profile(old, timestamp=datetime(2026, 1, 2, 5, 30))
    assert witness(old_server, zone="Asia/Kolkata") == Witness("insta_account_ts", 1, 0, 1, 0)


def test_a_database_without_series_has_no_witness(old: psycopg.Connection, old_server: str) -> None:
    old.execute("DROP TABLE insta_account_ts")
    assert witness(old_server) is None
    assert witness(old_server, "order_log") is None


@pytest.mark.parametrize("table", ["profile_log", "post_log"])
def test_what_the_reverse_writer_writes_has_its_row_of_series(
    moving: Moving, old: psycopg.Connection, table: str
) -> None:
    moving.prepare(*LEGACY_TABLES)
    arrive(moving, [event(**({"shortcode": "C1"} if table == "post_log" else {})), event(platform="YOUTUBE")], table)
    moving.reverse(table)
    found = witness(moving.legacy_url, table)
    assert found is not None
    assert found.agrees
    assert found.series_rows == 1
