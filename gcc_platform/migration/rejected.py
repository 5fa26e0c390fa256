"""Old rows that can be no events: noted one by one, each with its reason."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection

SENT = "sent from PostgreSQL"
"""How the absence of a row ended: it has an event."""


async def note_invalid(
    state: Connection,
    old: Connection,
    table: LegacyTable,
    database: Database,
    where: str,
    parameters: Mapping[str, Any],
) -> int:
    """Note the rows of a condition that lack what an event needs; how many there are."""
    found = await (await old.execute(table.rejected_sql(database, where).encode(), parameters)).fetchall()
    await _note(state, [(table.name, *row) for row in found])
    return len(found)


async def rejected_ids(state: Connection, table: LegacyTable) -> Collection[int]:
    """The ids of the rows that have no event. Raises psycopg.Error."""
    found = await state.execute(
        "SELECT id FROM migration.rejected WHERE legacy_table = %s AND resolution IS DISTINCT FROM %s",
        [table.name, SENT],
    )
    return [row_id for (row_id,) in await found.fetchall()]


async def resolve_sent(state: Connection, table: LegacyTable, ids: Sequence[int]) -> None:
    """Note that rows, which were corrected, have their events after all. Raises psycopg.Error."""
    await state.execute(
        "UPDATE migration.rejected SET resolved_at = now(), resolution = %s WHERE legacy_table = %s AND id = ANY(%s)",
        [SENT, table.name, list(ids)],
    )


async def note_refused(state: Connection, table: LegacyTable, row_id: int, error: str) -> None:
    """Note a row that a server refused, with its words."""
    await _note(state, [(table.name, row_id, "refused", error)])


async def _note(state: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    async with state.cursor() as cursor:
        await cursor.executemany(
            """INSERT INTO migration.rejected (legacy_table, id, reason, detail) VALUES (%s, %s, %s, %s)
            ON CONFLICT (legacy_table, id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail""",
            rows,
        )


async def accept(state: Connection, table: LegacyTable, what: str, because: str) -> int:
    """Note that rejected rows stay behind, and why: of one id, or all with a reason. How many there were."""
    found = await state.execute(
        """UPDATE migration.rejected SET resolved_at = now(), resolution = %(because)s
        WHERE legacy_table = %(table)s AND resolved_at IS NULL AND %(what)s IN (id::text, reason)""",
        {"because": because, "table": table.name, "what": what},
    )
    return found.rowcount
