"""Rows that crawlers wrote to both sides: a day of them, compared one by one, and each difference with its cause.

PostgreSQL's rows are copied into ClickHouse, and one engine compares values: 1.0 is 1, and the order of keys is none.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from gcc_platform.migration import identity
from gcc_platform.migration.copied_rows import Pace, copy_batches
from gcc_platform.migration.legacy_table import DERIVED
from gcc_platform.migration.parity.bisecting import (
    DIFFERS,
    ONLY_IN_CLICKHOUSE,
    ONLY_IN_POSTGRES,
    TWICE,
    UNDER_WAY,
    Difference,
    Sides,
)
from ingest_service.clickhouse.client import ClickHouse

DEAD_LETTERED = "dead-lettered"
IN_A_SPOOL = "in a spool"
LOST = "lost before the broker"
NO_ROW = "rolled back, deleted since, or of a crawler that writes events only"
TWO_CLOCKS = "two clocks: the copies have another event_timestamp"
CHANGED = "changed on one side"

_JSON = ("metrics", "dimensions", "params")
_BATCH = 100_000


@dataclass(frozen=True)
class Day:
    """What the comparison of a day found."""

    rows: int
    """In PostgreSQL."""
    differences: Sequence[Difference]


async def compare(sides: Sides, day: date, spooled: Sequence[str], first_id: int = 0) -> Day:
    """Compare the rows of a day by UTC that have an event_id of a crawler. `spooled` are event_ids that wait in spools.

    No row of the day has a smaller id than `first_id`.

    Raises psycopg.Error, InsertFailed and ClickHouseUnavailable.
    """
    clickhouse, pulled = sides.clickhouse, f"migration.pulled_{sides.table.name}"
    rows = await _pull(sides, day, pulled, first_id)
    waiting = await _waiting(clickhouse, sides.table.name, spooled)
    found = [json.loads(row) for row in await clickhouse.rows(_query(sides, pulled, waiting), _bounds(day))]
    return Day(rows, [Difference(UUID(row["id"]), row["kind"], row["detail"], row["cause"]) for row in found])


async def _pull(sides: Sides, day: date, pulled: str, first_id: int) -> int:
    """Copy the day's rows into a table of their own; how many."""
    table, zone = sides.table, sides.database.zone(sides.table.name)
    columns = ", ".join(table.event_columns)
    await sides.clickhouse.command("CREATE DATABASE IF NOT EXISTS migration")
    await sides.clickhouse.command(
        f"CREATE OR REPLACE TABLE {pulled} ENGINE = MergeTree ORDER BY event_id "
        f"EMPTY AS SELECT {columns} FROM {table.raw_table}"
    )
    where = (
        "r.event_id IS NOT NULL AND r.id >= %(first_id)s "
        f"AND r.{table.time} >= %(first)s::timestamptz AT TIME ZONE %(zone)s "
        f"AND r.{table.time} < %(last)s::timestamptz AT TIME ZONE %(zone)s"
    )
    parameters = {
        "first": f"{day} 00:00+00",
        "last": f"{day + timedelta(days=1)} 00:00+00",
        "zone": zone,
        "first_id": first_id,
    }
    count = 0
    async for rows in copy_batches(sides.old, table, sides.database, where, parameters, Pace(), most=_BATCH):
        comment = {"migration": f"pull {table.name}"}
        token = f"{pulled}/{time.time_ns()}"
        await sides.clickhouse.insert(
            pulled, rows.lines, token, comment, table.event_columns, row_format="TabSeparated"
        )
        count += len(rows.lines)
    return count


async def _waiting(clickhouse: ClickHouse, name: str, spooled: Sequence[str]) -> str:
    """A table of the event_ids that wait in spools."""
    waiting = f"migration.spooled_{name}"
    await clickhouse.command(f"CREATE OR REPLACE TABLE {waiting} (event_id UUID) ENGINE = MergeTree ORDER BY event_id")
    if spooled:
        lines = [event_id.encode() for event_id in spooled]
        comment = {"migration": f"spooled {name}"}
        await clickhouse.insert(
            waiting, lines, f"{waiting}/{time.time_ns()}", comment, ["event_id"], row_format="TabSeparated"
        )
    return waiting


def _bounds(day: date) -> dict[str, object]:
    return {"first": day.isoformat(), "last": (day + timedelta(days=1)).isoformat()}


def _query(sides: Sides, pulled: str, waiting: str) -> str:
    compared = [column for column in sides.table.event_columns if column not in ("event_id", "extra")]
    equal = ", ".join(f"if({_same(column)}, '', '{column}')" for column in compared)
    copies = ", ".join(f"any(e.{column}) AS {column}" for column in compared if column != "event_timestamp")
    return f"""
    SELECT toString(if(here, p.event_id, c.event_id)) AS id,
        multiIf(NOT there, '{ONLY_IN_POSTGRES}', NOT here, '{ONLY_IN_CLICKHOUSE}', c.times > 1, '{TWICE}',
            '{DIFFERS}') AS kind,
        multiIf(kind = '{ONLY_IN_CLICKHOUSE}',
                if(greatest(c.event_timestamp, c.arrived) > now64(6) - {sides.grace_seconds}, '{UNDER_WAY}',
                    '{NO_ROW}'),
            kind = '{TWICE}', '{TWO_CLOCKS}',
            kind = '{DIFFERS}', '{CHANGED}',
            d.reason != '', concat('{DEAD_LETTERED}: ', d.reason),
            p.event_id IN (SELECT event_id FROM {waiting}), '{IN_A_SPOOL}',
            p.event_timestamp > now64(6) - {sides.grace_seconds}, '{UNDER_WAY}', '{LOST}') AS cause,
        if(kind = '{DIFFERS}', arrayStringConcat(arrayFilter(name -> name != '', [{equal}]), ', '), '') AS detail
    FROM (SELECT *, true AS here FROM {pulled}) AS p
    FULL OUTER JOIN (
        SELECT e.event_id AS event_id, true AS there, uniqExact(e.event_timestamp) AS times,
            min(e.event_timestamp) AS event_timestamp, max(e.insert_timestamp) AS arrived, {copies}
        FROM {sides.table.raw_table} AS e
        WHERE e.event_timestamp >= toDateTime64({{first:String}}, 6, 'UTC')
            AND e.event_timestamp < toDateTime64({{last:String}}, 6, 'UTC')
            AND NOT ({identity.MADE.replace("event_id", "e.event_id")})
        GROUP BY event_id) AS c ON p.event_id = c.event_id
    LEFT JOIN (
        SELECT toUUIDOrZero(JSONExtractString(body, 'event_id')) AS event_id, any(reason) AS reason
        FROM _e.dead_letter_events WHERE event_type = '{sides.table.event_type}' GROUP BY event_id) AS d
        ON d.event_id = p.event_id
    WHERE NOT (here AND there AND c.times = 1 AND {" AND ".join(_same(column) for column in compared)})
    ORDER BY kind, cause, id
    SETTINGS join_use_nulls = 0"""


def _same(column: str) -> str:
    """Whether a column has the same value on both sides."""
    here, there = f"p.{column}", f"c.{column}"
    if column in _JSON:
        return f"{_values(here)} = {_values(there)}"
    if column in DERIVED:  # the row has it only if its dimensions have
        return f"ifNull(toString({here}), '') IN ('', ifNull(toString({there}), ''))"
    return f"ifNull(concat('=', toString({here})), '~') = ifNull(concat('=', toString({there})), '~')"


def _values(json_text: str) -> str:
    """The keys and values of an object, in the order of the keys; numbers as numbers."""
    return (
        f"arraySort(arrayMap(pair -> (pair.1, ifNull(toString(toFloat64OrNull(pair.2)), pair.2)), "
        f"JSONExtractKeysAndValuesRaw({json_text})))"
    )
