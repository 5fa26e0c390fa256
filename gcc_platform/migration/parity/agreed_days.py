"""The days whose totals were equal, in the state, with what they were."""

import json
from collections.abc import Collection
from datetime import date
from decimal import Decimal

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity.totals import Total, Totals
from gcc_platform.migration.postgres import Connection

_NIGHTS = 7
"""Within as many rounds ClickHouse is asked for each day again."""


async def open_days(state: Connection, table: LegacyTable) -> set[date]:
    """The days that were not equal. Raises psycopg.Error."""
    found = await state.execute(
        "SELECT day FROM migration.agreed_days WHERE legacy_table = %s AND totals IS NULL", [table.name]
    )
    return {day for (day,) in await found.fetchall()}


async def share(state: Connection, table: LegacyTable) -> Totals:
    """The totals of a part of the days that were equal: those that ClickHouse was asked for longest ago."""
    found = await state.execute(
        """SELECT day, totals FROM migration.agreed_days WHERE legacy_table = %(table)s AND totals IS NOT NULL
        ORDER BY verified_at, day LIMIT (
            SELECT (count(*) + %(nights)s - 1) / %(nights)s FROM migration.agreed_days
            WHERE legacy_table = %(table)s AND totals IS NOT NULL)""",
        {"table": table.name, "nights": _NIGHTS},
    )
    return {
        (day, metric): Total(count, Decimal(total))
        for day, totals in await found.fetchall()
        for metric, (count, total) in totals.items()
    }


async def note_verified(state: Connection, table: LegacyTable, days: Collection[date]) -> None:
    """Note that ClickHouse still has the totals of days. Raises psycopg.Error."""
    await state.execute(
        "UPDATE migration.agreed_days SET verified_at = now() WHERE legacy_table = %s AND day = ANY(%s)",
        [table.name, list(days)],
    )


async def note(
    state: Connection,
    table: LegacyTable,
    compared: Collection[date] | None,
    totals: Totals,
    different: Collection[date],
) -> None:
    """Note the outcome of a comparison, of all days if `compared` is None. Raises psycopg.Error."""
    by_day: dict[date, dict[str, tuple[int, str]]] = {day: {} for day in different}
    for (day, metric), total in totals.items():
        by_day.setdefault(day, {})[metric] = (total.count, str(total.sum))
    rows = [(table.name, day, None if day in different else json.dumps(each)) for day, each in by_day.items()]
    async with state.transaction(), state.cursor() as cursor:
        await cursor.execute(
            """DELETE FROM migration.agreed_days
            WHERE legacy_table = %s AND (%s::date[] IS NULL OR day = ANY(%s::date[]))""",
            [table.name, *[None if compared is None else list(compared)] * 2],
        )
        await cursor.executemany(
            "INSERT INTO migration.agreed_days (legacy_table, day, totals) VALUES (%s, %s, %s)", rows
        )
