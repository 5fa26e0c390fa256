"""Rows of an old database: as odd as five years leave them, in order, and the same for the same seed."""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
import pytest

from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.rehearsal.old_rows import FILLED, SERIES, UnknownTable, create_tables, fill

UNTIL = datetime(2026, 11, 1, 12)
ROWS = 4000

ODD = {
    "SQL NULL": "metrics IS NULL",
    "JSON null": "metrics = 'null'",
    "JSON null of dimensions": "dimensions = 'null'",
    "an object instead of a list": "jsonb_typeof(metrics) = 'object'",
    "a key twice": "jsonb_array_length(CASE jsonb_typeof(metrics) WHEN 'array' THEN metrics ELSE '[]' END) > 1 "
    "AND metrics -> 0 -> 'key' = metrics -> -1 -> 'key'",
    "a pair without a value": """metrics @? '$[*] ? (@.key == "no_value" && !exists(@.value))'""",
    "a pair without a key": "metrics @? '$[*] ? (@.value == 4 && !exists(@.key))'",
    "a key that is null": """metrics @> '[{"key": null}]'""",
    "no pair": """metrics @> '["no pair"]'""",
    "a number that ends in a zero": "metrics::text LIKE '%: 1.50}%'",
    "a number of 24 digits": "metrics::text LIKE '%: 123456789012345678901234}%'",
    "an emoji and escapes": "dimensions::text LIKE '%💃🏽%' AND dimensions::text LIKE '%\\\\n\\\\t%'",
    "empty lists": "metrics = '[]' AND dimensions = '[]'",
    "no platform": "platform IS NULL",
    "no profile": "profile_id IS NULL",
    "no time": "timestamp IS NULL",
    "an implausible time": "timestamp < '2000-01-01'",
}


def filled(url: str, table: str, rows: int = ROWS, seed: int = 1, batch: int = 1500) -> list[int]:
    """Fill a table; the progress that was reported."""
    reported: list[int] = []

    async def run() -> None:
        async with legacy_database.writing(url) as connection:
            await create_tables(connection)
            await fill(connection, table, rows, 5, UNTIL, seed=seed, progress=reported.append, batch=batch)

    asyncio.run(run())
    return reported


def found(old: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return old.execute(query.encode()).fetchall()


@pytest.mark.parametrize("table", ["profile_log", "post_log"])
def test_every_odd_kind_occurs_and_all_together_are_one_row_in_a_hundred(
    old_server: str, old: psycopg.Connection, table: str
) -> None:
    filled(old_server, table)
    counts = {
        kind: found(old, f"SELECT count(*) FROM {table} WHERE {condition}")[0][0] for kind, condition in ODD.items()
    }
    assert [kind for kind, count in counts.items() if not count] == []
    odd = " OR ".join(f"({condition})" for condition in ODD.values())
    ((count,),) = found(old, f"SELECT count(*) FROM {table} WHERE {odd}")
    assert 0.009 < count / ROWS < 0.015


def test_rows_are_in_the_order_of_time_over_all_years_and_so_is_the_progress(
    old_server: str, old: psycopg.Connection
) -> None:
    assert filled(old_server, "profile_log") == [1500, 3000, 4000]
    plausible = "FROM profile_log WHERE timestamp > '2000-01-01'"
    assert found(
        old, f"SELECT count(*) FROM (SELECT timestamp < lag(timestamp) OVER (ORDER BY id) AS back {plausible}) AS r "
             "WHERE back"
    ) == [(0,)]  # fmt: skip
    ((earliest, latest),) = found(old, f"SELECT min(timestamp), max(timestamp) {plausible}")
    assert (UNTIL - latest).days == 0
    assert (latest - earliest).days == pytest.approx(5 * 365.25, abs=2)


@pytest.mark.parametrize("table", FILLED)
def test_the_same_seed_makes_the_same_rows_however_they_are_batched(
    old_server: str, old: psycopg.Connection, table: str
) -> None:
    digest = f"SELECT count(*), md5(string_agg(r::text, chr(10) ORDER BY id)) FROM {table} AS r"
    results = []
    for seed, batch in ((1, 1500), (1, 77), (2, 1500)):
        old.execute(f"TRUNCATE {table} RESTART IDENTITY".encode())
        filled(old_server, table, 2000, seed, batch)
        results += found(old, digest)
    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize("series", SERIES)
def test_a_series_has_the_plain_rows_of_its_log_with_the_same_times(
    old_server: str, old: psycopg.Connection, series: str
) -> None:
    log = SERIES[series]
    key, value = ("profile_id", "followers") if log == "profile_log" else ("platform_post_id", "likes")
    filled(old_server, log)
    filled(old_server, series)
    shown = "profile_id" if log == "profile_log" else "shortcode"
    joined = f"FROM {series} AS s JOIN {log} AS r ON r.{key} = s.{shown} AND r.timestamp = s.timestamp"
    ((count, joined_count, equal),) = found(
        old,
        f"SELECT (SELECT count(*) FROM {series}), count(*), "
        f"count(*) FILTER (WHERE r.metrics -> 0 = jsonb_build_object('key', '{value}', 'value', s.{value})) "
        f"{joined}",
    )
    assert count == joined_count == equal
    assert 0.7 < count / ROWS < 0.9


@pytest.mark.parametrize("table", LEGACY_TABLES)
def test_every_table_has_rows_that_can_be_events_and_a_few_that_cannot(
    old_server: str, old: psycopg.Connection, table: str
) -> None:
    filled(old_server, table)
    each = LEGACY_TABLES[table]
    valid = found(old, f"SELECT count(*) FROM ({each.events_sql(Database(), 'true', has_event_id=False)}) AS e")[0][0]
    rejected = found(old, f"SELECT count(*) FROM ({each.rejected_sql(Database(), 'true')}) AS e")[0][0]
    assert valid > 0.98 * ROWS
    assert 2 <= rejected <= 8


def test_a_table_without_rows_is_named(old_server: str, old: psycopg.Connection) -> None:
    with pytest.raises(UnknownTable, match="'users'"):
        filled(old_server, "users")
