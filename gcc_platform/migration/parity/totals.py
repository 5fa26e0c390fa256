"""Totals: rows per day, and per day and metric how many numbers there are and their sum, counted by each engine itself.

Nothing of the backfill's SQL is used: PostgreSQL counts from the lists, ClickHouse from the objects. So a mistake in
how rows become events shows here, even though both sides of a checksum would share it. Numbers of 10^18 and more do not
count: ClickHouse's JSON functions take integers beyond 64 bits for text.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from gcc_platform.migration import identity
from gcc_platform.migration.legacy_table import EARLIEST, Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse

_PLACES = 4
"""Decimal places that count of each value: ClickHouse cuts the others off."""
_MOST = "1e18"


@dataclass(frozen=True)
class Total:
    """How many values, and their sum; of rows, only how many."""

    count: int
    sum: Decimal = Decimal(0)


Key = tuple[date, str]
"""A day, and a metric; `rows` is the number of rows, which no metric is called with its leading space."""

ROWS = " rows"


@dataclass(frozen=True)
class Mismatch:
    """A day or a metric of a day of which the sides have something else."""

    day: date
    metric: str
    here: Total | None
    """In PostgreSQL."""
    there: Total | None
    """In ClickHouse."""


Totals = Mapping[Key, Total]


@dataclass(frozen=True)
class Days:
    """The days before one; if they are given, only those. `parts` are the ids that PostgreSQL looks at; all by default.

    `without` are ids of rows that can be no events: they have a row in `migration.rejected`.
    """

    until: date
    days: Collection[date] | None = None
    parts: Sequence[tuple[int, int]] | None = None
    without: Collection[int] = ()


async def compare(
    old: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database, days: Days
) -> tuple[Totals, Sequence[Mismatch]]:
    """PostgreSQL's totals, and those that differ. Raises psycopg.Error and ClickHouseUnavailable."""
    here = await in_postgres(old, table, database, days)
    return here, mismatches(here, await in_clickhouse(clickhouse, table, days))


def mismatches(here: Totals, there: Totals) -> Sequence[Mismatch]:
    """The totals that differ, in the order of days and metrics."""
    return [
        Mismatch(day, metric, here.get((day, metric)), there.get((day, metric)))
        for day, metric in sorted(here.keys() | there.keys())
        if here.get((day, metric)) != there.get((day, metric))
    ]


async def in_postgres(old: Connection, table: LegacyTable, database: Database, days: Days) -> Totals:
    """PostgreSQL's totals, from the lists. Raises psycopg.Error."""
    at = f"(r.{table.time} AT TIME ZONE %(zone)s)"
    where = f"{table.complete or 'true'} AND {at} >= %(earliest)s AND {at} < %(until)s"
    if days.days is not None:
        where += f" AND {at}::date = ANY(%(days)s)"
    if days.without:
        where += " AND NOT EXISTS (SELECT FROM unnest(%(without)s::bigint[]) AS rejected (id) WHERE rejected.id = r.id)"
    of_days = f"FROM {table.name} AS r WHERE {where}"
    if days.parts is not None:  # OFFSET 0: each part by the index of ids
        of_days = f"""FROM unnest(%(first)s::bigint[], %(last)s::bigint[]) AS part (first, last)
            CROSS JOIN LATERAL (
                SELECT r.* FROM {table.name} AS r WHERE r.id BETWEEN part.first AND part.last OFFSET 0
            ) AS r WHERE {where}"""
    parameters = {
        "zone": database.zone(table.name),
        "earliest": EARLIEST,
        "until": days.until,
        "days": list(days.days or ()),
        "without": list(days.without),
        "first": [first for first, _ in days.parts or ()],
        "last": [last for _, last in days.parts or ()],
    }
    rows = await old.execute(f"SELECT {at}::date, count(*) {of_days} GROUP BY 1".encode(), parameters)
    found = {(day, ROWS): Total(count) for day, count in await rows.fetchall()}
    if "metrics" in table.lists:
        metrics = await old.execute(_metrics_sql(at, of_days).encode(), parameters)
        found |= {(day, key): Total(count, total) for day, key, count, total in await metrics.fetchall()}
    return found


def _metrics_sql(at: str, of_days: str) -> str:
    """Per day and metric how many numbers, and their sum. A list may have a key twice, of which the last counts."""
    return f"""
    SELECT day, key, count(*), sum(trunc(number, {_PLACES})) FROM (
        SELECT day, key, CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric END AS number
        FROM (SELECT {at}::date AS day, r.metrics, jsonb_typeof(r.metrics) AS kind {of_days}) AS listed
        CROSS JOIN LATERAL (
            SELECT DISTINCT ON (key) key, value FROM (
                SELECT pair ->> 'key' AS key, pair -> 'value' AS value, place
                FROM jsonb_array_elements(CASE kind WHEN 'array' THEN metrics ELSE '[]' END)
                    WITH ORDINALITY AS list (pair, place)
                UNION ALL
                SELECT key, value, 1 FROM jsonb_each(CASE kind WHEN 'object' THEN metrics ELSE '{{}}' END)
            ) AS pairs WHERE key IS NOT NULL ORDER BY key, place DESC
        ) AS last_of_each OFFSET 0
    ) AS numbers WHERE abs(number) < {_MOST} GROUP BY 1, 2"""


async def in_clickhouse(clickhouse: ClickHouse, table: LegacyTable, days: Days) -> Totals:
    """ClickHouse's totals, from the objects. Raises ClickHouseUnavailable."""
    where = "event_timestamp < {until:DateTime64(6, 'UTC')}"
    where += f" AND NOT ({identity.MADE} AND NOT ({identity.made_from(table.number)}))"  # those are of series
    if table.is_queue:  # its live events are changes of state, and not rows
        where += f" AND {identity.MADE}"
    if days.days is not None:
        where += " AND toDate(event_timestamp) IN {days:Array(Date)}"
    of_days = f"FROM {table.raw_table} FINAL WHERE {where}"
    queries = [
        f"SELECT toDate(event_timestamp) AS day, '{ROWS}' AS metric, count() AS n, '0' AS total {of_days} GROUP BY day"
    ]
    if "metrics" in table.lists:
        queries.append(
            f"""SELECT toDate(event_timestamp) AS day, pair.1 AS metric, count() AS n,
                toString(sum(toDecimal256OrZero(pair.2, {_PLACES}))) AS total
            {of_days.replace(" WHERE", " ARRAY JOIN JSONExtractKeysAndValuesRaw(metrics) AS pair WHERE")}
                AND match(pair.2, '^-?[0-9]') AND abs(toFloat64OrZero(pair.2)) < {_MOST} GROUP BY day, metric"""
        )
    parameters: dict[str, object] = {"until": days.until.isoformat(), "days": sorted(days.days or ())}
    found: dict[Key, Total] = {}
    for query in queries:
        for row in map(json.loads, await clickhouse.rows(query, parameters)):
            key = (date.fromisoformat(row["day"]), row["metric"])
            found[key] = Total(int(row["n"]), Decimal(row["total"]))
    return found
