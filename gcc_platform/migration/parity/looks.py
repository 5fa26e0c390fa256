"""What was known of a table whenever its totals were compared, in the state: whatever is not covered by it is new."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import unmoved
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection

_UNDER_WAY = timedelta(minutes=15)
"""An insert may be under way for so long, with a time of arrival that is older than its rows are visible."""
_KEPT = timedelta(days=60)
_AHEAD = timedelta(days=1)
"""A row's time may be so far ahead of its insert: one that is further ahead can be no event."""


@dataclass(frozen=True)
class Look:
    """What is known at a time."""

    counters: str | None
    """Of PostgreSQL's changes and deletions; None if it does not count them."""
    next_id: int
    """All rows with smaller ids are there."""
    arrived_until: datetime
    """All rows that arrived in ClickHouse before are there."""
    until: date
    """Days from this one on are not compared."""


async def look(state: Connection, sides: Sides, until: date) -> Look:
    """What is known now. Ask before anything is counted. Raises psycopg.Error and ClickHouseUnavailable."""
    decided = await state.execute(
        """SELECT coalesce(least(
            (SELECT next_id FROM migration.tail WHERE legacy_table = %(table)s),
            (SELECT min(first_id) FROM migration.gaps WHERE legacy_table = %(table)s)), 0)""",
        {"table": sides.table.name},
    )
    row = await decided.fetchone()
    assert row is not None
    counters = await unmoved.counters(sides.old, sides.table)
    [clock] = await sides.clickhouse.rows("SELECT now64(3, 'UTC') AS now")
    return Look(counters, row[0], datetime.fromisoformat(json.loads(clock)["now"]) - _UNDER_WAY, until)


async def last(state: Connection, table: LegacyTable) -> Look | None:
    """The last one, or None. Raises psycopg.Error."""
    found = await state.execute(
        """SELECT counters, next_id, arrived_until, until FROM migration.looks WHERE legacy_table = %s
        ORDER BY looked_at DESC LIMIT 1""",
        [table.name],
    )
    row = await found.fetchone()
    return None if row is None else Look(*row)


async def first_id_of(state: Connection, table: LegacyTable, day: date) -> int:
    """No row of a day has a smaller id: it was inserted after a look that was earlier. Raises psycopg.Error."""
    found = await state.execute(
        """SELECT coalesce(max(next_id), 0) FROM migration.looks
        WHERE legacy_table = %s AND looked_at < %s::date - %s::interval""",
        [table.name, day, _AHEAD],
    )
    row = await found.fetchone()
    assert row is not None
    return int(row[0])


async def note(state: Connection, table: LegacyTable, found: Look) -> None:
    """Remember a look, once what was known has been compared. Raises psycopg.Error."""
    await state.execute(
        """INSERT INTO migration.looks (legacy_table, counters, next_id, arrived_until, until)
        VALUES (%s, %s, %s, %s, %s)""",
        [table.name, found.counters, found.next_id, found.arrived_until, found.until],
    )
    await state.execute(
        "DELETE FROM migration.looks WHERE legacy_table = %s AND looked_at < now() - %s::interval", [table.name, _KEPT]
    )
