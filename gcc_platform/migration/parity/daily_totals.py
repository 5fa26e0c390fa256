"""Totals of the days to which something has happened since they were equal: a night costs what is new.

A day is compared again if it has rows that were not there, in PostgreSQL by their ids and in ClickHouse by their
arrival; if it was not equal, or not over; and every day if rows of the table were changed or deleted in PostgreSQL. Of
the others, ClickHouse is asked for a seventh in each round: whether it still has the totals that were equal.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from gcc_platform.migration.legacy_table import EARLIEST
from gcc_platform.migration.parity import agreed_days, looks, totals
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.parity.looks import Look
from gcc_platform.migration.parity.totals import Days, Mismatch
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.rejected import rejected_ids

_CLOCKS = timedelta(days=1)
"""The clocks of crawlers may be this far apart."""


@dataclass(frozen=True)
class Compared:
    """What a comparison found."""

    mismatches: Sequence[Mismatch]
    days: int | None
    """How many days were compared; None if all."""


async def compare(state: Connection, sides: Sides, until: date, *, every_day: bool = False) -> Compared:
    """Compare the totals of the days before one. Raises psycopg.Error and ClickHouseUnavailable.

    `every_day`: of all days, whatever is known of them.
    """
    now = await looks.look(state, sides, until)
    before = await looks.last(state, sides.table)
    without = await rejected_ids(state, sides.table)
    if every_day or before is None or now.counters is None or now.counters != before.counters:
        days = Days(until, without=without)
        here, found = await totals.compare(sides.old, sides.clickhouse, sides.table, sides.database, days)
    else:
        moved = await _moved(state, sides, before, until)
        days = Days(until, moved, await _parts(state, sides, moved), without)
        here, found = await totals.compare(sides.old, sides.clickhouse, sides.table, sides.database, days)
        if odd := {each.day for each in found}:  # rows of these days may be among other ids, by a clock that was wrong
            everywhere = replace(days, days=odd, parts=None)
            again, found = await totals.compare(sides.old, sides.clickhouse, sides.table, sides.database, everywhere)
            here = {**{key: total for key, total in here.items() if key[0] not in odd}, **again}
    different = {each.day for each in found}
    await agreed_days.note(state, sides.table, days.days, here, different)
    await looks.note(state, sides.table, now)
    return Compared(found, None if days.days is None else len(days.days))


async def _moved(state: Connection, sides: Sides, before: Look, until: date) -> set[date]:
    """The days to compare."""
    at = f"(r.{sides.table.time} AT TIME ZONE %(zone)s)"
    rows = await sides.old.execute(
        f"SELECT DISTINCT {at}::date FROM {sides.table.name} AS r "
        f"WHERE r.id >= %(next_id)s AND {at} >= %(earliest)s AND {at} < %(until)s".encode(),
        {
            "zone": sides.database.zone(sides.table.name),
            "next_id": before.next_id,
            "earliest": EARLIEST,
            "until": until,
        },
    )
    moved = {day for (day,) in await rows.fetchall()}
    arrived = await sides.clickhouse.rows(
        f"SELECT DISTINCT toDate(event_timestamp) AS day FROM {sides.table.raw_table} "
        "WHERE insert_timestamp >= {since:DateTime64(3, 'UTC')}",
        {"since": before.arrived_until},
    )
    moved |= {date.fromisoformat(json.loads(each)["day"]) for each in arrived}
    moved |= {before.until + timedelta(days=ago) for ago in range((until - before.until).days)}
    moved |= await agreed_days.open_days(state, sides.table)
    moved = {day for day in moved if day < until}
    return moved | await _lost(state, sides, until, moved)


async def _lost(state: Connection, sides: Sides, until: date, moved: Collection[date]) -> set[date]:
    """Days, of a seventh of the others, of which ClickHouse has something else than what was equal."""
    known = {key: total for key, total in (await agreed_days.share(state, sides.table)).items() if key[0] not in moved}
    days = {day for day, _ in known}
    if not days:
        return days
    now = await totals.in_clickhouse(sides.clickhouse, sides.table, Days(until, days))
    lost = {each.day for each in totals.mismatches(known, now)}
    await agreed_days.note_verified(state, sides.table, days - lost)
    return lost


async def _parts(state: Connection, sides: Sides, days: Collection[date]) -> Sequence[tuple[int, int]]:
    """The ids among which the rows of days are: of the chunks whose times are near, and all later ones."""
    found = await state.execute(
        """SELECT first_id, last_id FROM migration.chunks WHERE legacy_table = %(table)s AND (
            state <> 'done' OR min_timestamp IS NULL OR EXISTS (
                SELECT FROM unnest(%(days)s::date[]) AS day
                WHERE min_timestamp < day + 1 + %(clocks)s AND max_timestamp >= day - %(clocks)s))
        UNION ALL SELECT coalesce(max(last_id), 0) + 1, 9223372036854775807
        FROM migration.chunks WHERE legacy_table = %(table)s ORDER BY 1""",
        {"table": sides.table.name, "days": list(days), "clocks": _CLOCKS},
    )
    return [(first, last) for first, last in await found.fetchall()] if days else []
