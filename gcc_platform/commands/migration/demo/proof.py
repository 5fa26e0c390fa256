"""The proof at the end of the rehearsal: what the crawlers have committed, against both sides."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from gcc_platform.resources import clickhouse

_IN_POSTGRES = """
SELECT source, count(*), count(DISTINCT pair ->> 'value') FROM {table},
    jsonb_array_elements(CASE jsonb_typeof(metrics) WHEN 'array' THEN metrics ELSE '[]' END) AS pair
WHERE pair ->> 'key' = 'snapshot' GROUP BY source
"""
_IN_CLICKHOUSE = """
SELECT source, count(), uniqExact(JSONExtractInt(metrics, 'snapshot')) FROM _e.{table}_events FINAL
WHERE JSONHas(metrics, 'snapshot') GROUP BY source
"""


@dataclass(frozen=True)
class Proof:
    """The snapshots of one table."""

    table: str
    committed: int
    """By the crawlers' journals."""
    rows: int
    """Of these, in the old table."""
    events: int
    """Of these, in ClickHouse."""
    wrong: int
    """Crawlers whose snapshots are not once on each side."""


def prove(table: str, committed: Mapping[str, int], legacy_url: str, clickhouse_url: str) -> Proof:
    """Count the crawlers' snapshots of a table on both sides. Raises psycopg.Error and ClickHouseFailed."""
    with psycopg.connect(legacy_url) as old:
        found = old.execute(_IN_POSTGRES.format(table=table).encode()).fetchall()
    here = {source: (count, distinct) for source, count, distinct in found}
    with clickhouse.connect(clickhouse_url, {"command": "migration demo"}) as server:
        there = {
            str(source): (int(count), int(distinct))
            for source, count, distinct in server.rows(_IN_CLICKHOUSE.format(table=table))
        }
    wrong = [
        source for source, count in committed.items() if not here.get(source) == there.get(source) == (count, count)
    ]
    return Proof(
        table,
        sum(committed.values()),
        sum(count for count, _ in here.values()),
        sum(count for count, _ in there.values()),
        len(wrong),
    )
