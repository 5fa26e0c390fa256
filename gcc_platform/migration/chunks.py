"""The backfill's work: ranges of ids, each claimed by one worker and repeated until it is done.

The lease of a chunk is an advisory lock of its worker's session: it ends with the worker, however that ends, and needs
no clock. A chunk whose worker dies after the insert is done again, and its rows collapse with the first ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gcc_platform.migration.postgres import Connection

_LOOKED_AT = 200
"""More than there are workers: the newest unfinished chunks that others hold."""


@dataclass(frozen=True)
class Chunk:
    """Rows with first_id <= id <= last_id."""

    table: str
    first_id: int
    last_id: int
    attempt: int = 0

    @property
    def batch(self) -> str:
        """The name of its insert, another one for each attempt: between two, rows may have changed."""
        return f"backfill/{self.table}/{self.first_id}-{self.last_id}.{self.attempt}"

    def halves(self) -> "tuple[Chunk, Chunk]":
        """Two parts of at least two ids."""
        middle = (self.first_id + self.last_id) // 2
        return replace(self, last_id=middle), replace(self, first_id=middle + 1)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of a chunk."""

    written: int = 0
    rejected: int = 0
    checksum: int = 0
    earliest: str | None = None
    latest: str | None = None

    def __add__(self, other: "Outcome") -> "Outcome":
        early = [each for each in (self.earliest, other.earliest) if each]
        late = [each for each in (self.latest, other.latest) if each]
        return Outcome(
            self.written + other.written,
            self.rejected + other.rejected,
            self.checksum + other.checksum,
            min(early, default=None),
            max(late, default=None),
        )


async def is_planned(state: Connection, table: str) -> bool:
    """Whether the chunks of a table were planned, and its tail begun."""
    found = await state.execute("SELECT FROM migration.tail WHERE legacy_table = %s", [table])
    return await found.fetchone() is not None


async def plan(state: Connection, table: str, first_id: int, last_id: int, width: int) -> int:
    """Plan the chunks of a table, and begin its tail behind them; how many. 0 if that was done before."""
    async with state.transaction():
        begun = await state.execute(
            "INSERT INTO migration.tail (legacy_table, next_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [table, last_id + 1],
        )
        if not begun.rowcount:
            return 0
        planned = await state.execute(
            """INSERT INTO migration.chunks (legacy_table, first_id, last_id)
            SELECT %(table)s, id, least(id + %(width)s - 1, %(last)s)
            FROM generate_series(%(first)s::bigint, %(last)s::bigint, %(width)s::bigint) AS id""",
            {"table": table, "first": first_id, "last": last_id, "width": width},
        )
        return planned.rowcount


async def retry_failed(state: Connection, tables: Sequence[str]) -> None:
    """Take up chunks again that failed, for the cause may be fixed."""
    await state.execute(
        "UPDATE migration.chunks SET state = 'planned' WHERE state = 'failed' AND legacy_table = ANY(%s)", [tables]
    )


async def claim(state: Connection, table: str, worker: str) -> Chunk | None:
    """The newest chunk that nobody works on: readers miss the newest rows most. None if there is none left."""
    found = await state.execute(
        """SELECT first_id FROM migration.chunks WHERE legacy_table = %s AND state IN ('planned', 'running')
        ORDER BY first_id DESC LIMIT %s""",
        [table, _LOOKED_AT],
    )
    for (first_id,) in await found.fetchall():
        if await _lock(state, table, first_id):
            claimed = await state.execute(
                """UPDATE migration.chunks
                SET state = 'running', attempts = attempts + 1, started_at = now(), finished_at = NULL, worker = %s
                WHERE legacy_table = %s AND first_id = %s AND state IN ('planned', 'running')
                RETURNING last_id, attempts""",
                [worker, table, first_id],
            )
            if row := await claimed.fetchone():
                return Chunk(table, first_id, row[0], row[1])
            await release(state, table, first_id)  # somebody has finished it meanwhile
    return None


async def finish(state: Connection, chunk: Chunk, outcome: Outcome) -> None:
    """Note that ClickHouse has confirmed the rows of a chunk. A seal of an earlier time is void."""
    await state.execute(
        """UPDATE migration.chunks SET state = 'done', error = NULL, finished_at = now(), sealed_at = NULL,
            rows_written = %(written)s, rows_rejected = %(rejected)s, copied_sum = %(checksum)s,
            min_timestamp = %(earliest)s, max_timestamp = %(latest)s
        WHERE legacy_table = %(table)s AND first_id = %(first_id)s""",
        {**vars(outcome), "table": chunk.table, "first_id": chunk.first_id},
    )
    await release(state, chunk.table, chunk.first_id)


async def fail(state: Connection, chunk: Chunk, error: str) -> None:
    """Note why a chunk cannot be done. The others go on."""
    await state.execute(
        """UPDATE migration.chunks SET state = 'failed', error = %s, finished_at = now()
        WHERE legacy_table = %s AND first_id = %s""",
        [error, chunk.table, chunk.first_id],
    )
    await release(state, chunk.table, chunk.first_id)


async def release(state: Connection, table: str, first_id: int) -> None:
    """Let others have a chunk."""
    await state.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", [table, first_id])


async def _lock(state: Connection, table: str, first_id: int) -> bool:
    locked = await state.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, %s))", [table, first_id])
    row = await locked.fetchone()
    return bool(row and row[0])
