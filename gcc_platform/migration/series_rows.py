"""Which rows of a table of series have an event already: that of their log row, brought before it was pruned.

PostgreSQL cannot know that any more. ClickHouse does: it has an event of that object and time, however it was brought.
"""

import json
from collections.abc import Mapping
from typing import Any

from gcc_platform.migration import identity
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse


async def is_log_brought(state: Connection, table: LegacyTable) -> bool:
    """Whether all chunks of the log are done: before, ClickHouse lacks events that are still to come."""
    found = await state.execute(
        """SELECT EXISTS (SELECT FROM migration.tail WHERE legacy_table = %(log)s) AND NOT EXISTS
            (SELECT FROM migration.chunks WHERE legacy_table = %(log)s AND state <> 'done')""",
        {"log": table.log},
    )
    row = await found.fetchone()
    return bool(row and row[0])


async def without_events(
    old: Connection,
    clickhouse: ClickHouse,
    table: LegacyTable,
    database: Database,
    where: str,
    parameters: Mapping[str, Any],
) -> tuple[str, Mapping[str, Any]]:
    """A condition narrowed to rows of which ClickHouse has no event, with its parameters.

    Events that were made from this very table do not count: a chunk may be done again. Raises psycopg.Error and
    ClickHouseUnavailable.
    """
    key = table.required[0]
    days = await old.execute(table.days_sql(database, where).encode(), parameters)
    found = await clickhouse.rows(
        f"""SELECT DISTINCT {key} AS key, event_timestamp AS at FROM {table.raw_table}
        WHERE platform = 'INSTAGRAM' AND toDate(event_timestamp) IN {{days:Array(Date)}}
            AND NOT ({identity.made_from(table.number)})""",
        {"days": [str(day) for (day,) in await days.fetchall()]},
    )
    known = [json.loads(row) for row in found]
    narrowed = f"""{where} AND NOT EXISTS (
        SELECT FROM unnest(%(keys)s::text[], %(times)s::timestamptz[]) AS known (key, at)
        WHERE known.key = r.{key} AND known.at = r.{table.time} AT TIME ZONE $zone)"""
    return narrowed, {
        **parameters,
        "keys": [each["key"] for each in known],
        "times": [each["at"] for each in known],
    }
