"""Totals: rows per day, and per day and metric how many numbers there are and their sum, counted by each engine itself.

Nothing of the backfill's SQL is used: PostgreSQL counts from the lists, ClickHouse from the objects. So a mistake in
how rows become events shows here, even though both sides of a checksum would share it. Numbers of 10^18 and more do not
count: ClickHouse's JSON functions take integers beyond 64 bits for text.
"""

import json
from collections.abc import Mapping, Sequence
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


async def compare(
    old: Connection, clickhouse: ClickHouse, table: LegacyTable, database: Database, until: date
) -> Sequence[Mismatch]:
    """The totals that differ, of the days before one. Raises psycopg.Error and ClickHouseUnavailable."""
    here = await _in_postgres(old, table, database, until)
    there = await _in_clickhouse(clickhouse, table, until)
    return [
        Mismatch(day, metric, here.get((day, metric)), there.get((day, metric)))
        for day, metric in sorted(here.keys() | there.keys())
        if here.get((day, metric)) != there.get((day, metric))
    ]


async def _in_postgres(old: Connection, table: LegacyTable, database: Database, until: date) -> Mapping[Key, Total]:
    at = f"(r.{table.time} AT TIME ZONE %(zone)s)"
    of_days = f"FROM {table.name} AS r WHERE {table.complete or 'true'} AND {at} >= %(first)s AND {at} < %(until)s"
    parameters = {"zone": database.zone(table.name), "first": EARLIEST, "until": until}
    rows = await old.execute(f"SELECT {at}::date, count(*) {of_days} GROUP BY 1".encode(), parameters)
    found = {(day, ROWS): Total(count) for day, count in await rows.fetchall()}
    if "metrics" not in table.lists:
        return found
    metrics = await old.execute(
        f"""SELECT day, pair ->> 'key', count(*), sum(trunc((pair ->> 'value')::numeric, {_PLACES}))
        FROM (SELECT {at}::date AS day, CASE jsonb_typeof(r.metrics) WHEN 'array' THEN r.metrics ELSE '[]' END AS list
            {of_days}) AS listed, jsonb_array_elements(list) AS pair
        WHERE jsonb_typeof(pair -> 'value') = 'number' AND pair ->> 'key' IS NOT NULL
            AND abs((pair ->> 'value')::numeric) < {_MOST} GROUP BY 1, 2""".encode(),
        parameters,
    )
    return found | {(day, key): Total(count, total) for day, key, count, total in await metrics.fetchall()}


async def _in_clickhouse(clickhouse: ClickHouse, table: LegacyTable, until: date) -> Mapping[Key, Total]:
    of_days = (
        f"FROM {table.raw_table} FINAL WHERE event_timestamp < {{until:DateTime64(6, 'UTC')}} "
        f"AND NOT ({identity.MADE} AND NOT ({identity.made_from(table.number)}))"  # those are of a table of series
    )
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
    found: dict[Key, Total] = {}
    for query in queries:
        for row in map(json.loads, await clickhouse.rows(query, {"until": until.isoformat()})):
            key = (date.fromisoformat(row["day"]), row["metric"])
            found[key] = Total(int(row["n"]), Decimal(row["total"]))
    return found
