"""Reads old rows again in PostgreSQL: what it has now is what ClickHouse should have."""

from gcc_platform.migration.parity import unmoved
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection


async def expect_all_that_is_there(state: Connection, sides: Sides, *, in_any_case: bool) -> None:
    """Expect of each chunk the rows that PostgreSQL has now.

    Not if it has counted no change and no deletion since this was done the last time, unless in any case. Raises
    psycopg.Error.
    """
    table = sides.table
    counters = await unmoved.counters(sides.old, table)
    known = await state.execute("SELECT counters FROM migration.deep_look WHERE legacy_table = %s", [table.name])
    if not in_any_case and counters is not None and await known.fetchone() == (counters,):
        return
    rows = await state.execute(
        "SELECT first_id, last_id FROM migration.chunks WHERE legacy_table = %s AND state = 'done' ORDER BY first_id",
        [table.name],
    )
    for first_id, last_id in await rows.fetchall():
        await expect(state, sides, first_id, last_id)
    await state.execute(
        """INSERT INTO migration.deep_look (legacy_table, counters) VALUES (%s, %s)
        ON CONFLICT (legacy_table) DO UPDATE SET counters = excluded.counters""",
        [table.name, counters],
    )


async def expect(state: Connection, sides: Sides, first_id: int, last_id: int) -> None:
    """Expect of a chunk the rows that PostgreSQL has now, and break its seal. Raises psycopg.Error."""
    now = await sides.in_postgres(first_id, last_id)
    await state.execute(
        """UPDATE migration.chunks SET rows_written = %s, copied_sum = %s, sealed_at = NULL, min_timestamp = %s,
            max_timestamp = %s WHERE legacy_table = %s AND first_id = %s""",
        [now.expected.rows, now.expected.checksum, now.earliest, now.latest, sides.table.name, first_id],
    )
