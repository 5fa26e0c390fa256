"""The tail: rows that crawlers not yet upgraded still write to the old tables, taken over as they commit.

The order of ids is not the order of commits: an id that is missing may belong to a transaction under way. So it is a
gap that is looked for again. Rows with an event_id are left out: their events come through the broker, and taking them
here would hide that one did not.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gcc_platform.migration import gaps, legacy_database
from gcc_platform.migration.copied_rows import CopiedRows, Pace, copy_rows
from gcc_platform.migration.gaps import Gap
from gcc_platform.migration.horizon import horizon
from gcc_platform.migration.landing import land
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.rejected import note_invalid
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import ClickHouse

_RETRY = Backoff(first=0.5, most=30.0)
_NO_PACE = Pace()


@dataclass(frozen=True)
class Position:
    """How far a table was read."""

    next_id: int
    gaps: Sequence[Gap]


@dataclass(frozen=True)
class _Look:
    """What was there in one snapshot."""

    ids: Sequence[int]
    """Of all rows that were not there before."""
    unfinished: Sequence[int]
    """Of those that are not final."""
    rows: CopiedRows
    high: int
    """The last id that was passed."""
    seen_at: datetime


@dataclass(frozen=True)
class Tail:
    """The tail of one table. `monitor` is a second connection to the old database."""

    state: Connection
    old: Connection
    monitor: Connection
    clickhouse: ClickHouse
    table: LegacyTable
    database: Database
    most: int = 50_000
    """Rows of one poll."""

    async def poll(self) -> int:
        """Take the rows that are visible now; how many. Those under way are taken by a later poll.

        Raises psycopg.Error and InsertFailed; then the next poll takes the same rows.
        """
        before = await position(self.state, self.table)
        decided_before = await horizon(self.monitor)
        async with self.old.transaction():
            await self.old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            look = await self._look(before)
        batch = f"tail/{self.table.name}/{before.next_id}.{time.time_ns()}"
        await land(self.clickhouse, self.table, look.rows.lines, batch, _RETRY)
        left = [
            *gaps.remaining(before.gaps, look.ids, decided_before),
            *gaps.opened(look.ids, before.next_id, look.high, look.seen_at),
            *gaps.runs(look.unfinished, look.seen_at),
        ]
        await self._store(before, Position(look.high + 1, left), len(look.rows.lines))
        return len(look.rows.lines)

    async def catch_up(self) -> None:
        """Take all rows that are visible now. Raises what `poll` raises."""
        while True:
            before = await position(self.state, self.table)
            await self.poll()
            if (await position(self.state, self.table)).next_id == before.next_id:
                return

    async def take(self, ids: Sequence[int]) -> int:
        """Take rows whose ids are known, and which are committed; how many are taken. Raises what `poll` raises."""
        if not ids:
            return 0
        rows = await self._rows(ids)
        await land(self.clickhouse, self.table, rows.lines, f"tail/{self.table.name}/slot.{time.time_ns()}", _RETRY)
        await self.state.execute(
            "UPDATE migration.tail SET rows = rows + %s, moved_at = now() WHERE legacy_table = %s",
            [len(rows.lines), self.table.name],
        )
        return len(rows.lines)

    async def _rows(self, ids: Sequence[int]) -> CopiedRows:
        """The rows of these ids that have no event_id; those that can be no events are noted."""
        parameters = {"ids": ids}
        has_event_id = await legacy_database.has_event_id(self.old, self.table)
        where = "r.id = ANY(%(ids)s)" + (" AND r.event_id IS NULL" if has_event_id else "")
        rows = await copy_rows(
            self.old, self.table, self.database, where, parameters, _NO_PACE, has_event_id=has_event_id
        )
        await note_invalid(self.state, self.old, self.table, self.database, where, parameters)
        return rows

    async def _look(self, before: Position) -> _Look:
        new = await self._ids("SELECT id FROM $table WHERE id >= %s ORDER BY id LIMIT %s", [before.next_id, self.most])
        late = await self._ids(
            "SELECT r.id FROM unnest(%s::bigint[], %s::bigint[]) AS gap (first, last) "
            "JOIN $table AS r ON r.id BETWEEN gap.first AND gap.last",
            [[gap.first for gap in before.gaps], [gap.last for gap in before.gaps]],
        )
        ids = [*late, *new]
        unfinished = await unfinished_ids(self.old, self.table, "r.id = ANY(%(ids)s)", {"ids": ids})
        rows = await self._rows(ids)
        # After the snapshot: the transaction that holds the id of a gap began before this time.
        found = await (await self.old.execute("SELECT clock_timestamp()")).fetchone()
        assert found is not None
        return _Look(ids, unfinished, rows, max(new, default=before.next_id - 1), found[0])

    async def _ids(self, query: str, parameters: Sequence[object]) -> list[int]:
        found = await self.old.execute(query.replace("$table", self.table.name).encode(), parameters)
        return [row_id for (row_id,) in await found.fetchall()]

    async def _store(self, before: Position, after: Position, taken: int) -> None:
        name = self.table.name
        if after == before:
            await self.state.execute(
                "UPDATE migration.tail SET looked_at = now(), slot_wal_bytes = NULL WHERE legacy_table = %s", [name]
            )
            return
        async with self.state.transaction():
            await self.state.execute(
                """UPDATE migration.tail SET next_id = %s, rows = rows + %s, moved_at = now(), looked_at = now(),
                    slot_wal_bytes = NULL WHERE legacy_table = %s""",
                [after.next_id, taken, name],
            )
            # Not all of them: the backfill notes others meanwhile.
            await self.state.execute(
                "DELETE FROM migration.gaps WHERE legacy_table = %s AND first_id = ANY(%s)",
                [name, [gap.first for gap in before.gaps]],
            )
            await note_gaps(self.state, self.table, after.gaps)


async def unfinished_ids(
    old: Connection, table: LegacyTable, where: str, parameters: Mapping[str, Any]
) -> Sequence[int]:
    """The ids of rows of a condition that are not final. Raises psycopg.Error."""
    if table.complete is None:
        return []
    query = f"SELECT r.id FROM {table.name} AS r WHERE ({where}) AND NOT coalesce({table.complete}, false)"
    found = await old.execute(query.encode(), parameters)
    return [row_id for (row_id,) in await found.fetchall()]


async def note_gaps(state: Connection, table: LegacyTable, found: Iterable[Gap]) -> None:
    """Have the tail look for the rows of gaps. Raises psycopg.Error."""
    async with state.cursor() as cursor:
        await cursor.executemany(
            """INSERT INTO migration.gaps (legacy_table, first_id, last_id, seen_at) VALUES (%s, %s, %s, %s)
            ON CONFLICT (legacy_table, first_id) DO UPDATE
            SET last_id = greatest(gaps.last_id, excluded.last_id), seen_at = excluded.seen_at""",
            [(table.name, gap.first, gap.last, gap.seen_at) for gap in found],
        )


async def position(state: Connection, table: LegacyTable) -> Position:
    """How far a table was read. Raises LookupError if its backfill is not planned: its tail begins where that ends."""
    found = await state.execute("SELECT next_id FROM migration.tail WHERE legacy_table = %s", [table.name])
    begun = await found.fetchone()
    if begun is None:
        raise LookupError(f"the backfill of {table.name} is not planned: gcc-platform migration backfill plans it")
    found = await state.execute(
        "SELECT first_id, last_id, seen_at FROM migration.gaps WHERE legacy_table = %s ORDER BY first_id", [table.name]
    )
    return Position(begun[0], [Gap(*row) for row in await found.fetchall()])
