"""The rows that the tail has taken become chunks of their own: they are sealed and verified as the backfill's are."""

from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection

_IDS = 100_000
"""Of a chunk, at most."""


async def add(state: Connection, sides: Sides) -> None:
    """Note chunks of the ids that the tail has passed since the last one, with what PostgreSQL has of them.

    A row that is taken later, of a transaction that was under way, makes its chunk differ: then it is read again.
    Raises psycopg.Error.
    """
    table = sides.table.name
    found = await state.execute(
        """SELECT next_id, (SELECT max(last_id) FROM migration.chunks WHERE legacy_table = %(table)s)
        FROM migration.tail WHERE legacy_table = %(table)s""",
        {"table": table},
    )
    tail = await found.fetchone()
    if tail is None:
        return
    next_id, last_id = tail
    for first in range((last_id or 0) + 1, next_id, _IDS):
        chunk = await sides.in_postgres(first, min(next_id - 1, first + _IDS - 1))
        await state.execute(
            """INSERT INTO migration.chunks (legacy_table, first_id, last_id, state, rows_written, rows_rejected,
                copied_sum, min_timestamp, max_timestamp) VALUES (%s, %s, %s, 'done', %s, 0, %s, %s, %s)
            ON CONFLICT DO NOTHING""",
            [
                table, chunk.first_id, chunk.last_id, chunk.expected.rows, chunk.expected.checksum, chunk.earliest,
                chunk.latest,
            ],
        )  # fmt: skip
