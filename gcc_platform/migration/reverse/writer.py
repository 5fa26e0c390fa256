"""The reverse writer of one table: what has arrived in ClickHouse, and PostgreSQL does not have, is inserted there.

It begins before the first crawler stops writing rows. Then it finds every row there already, which proves it daily.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.reverse.arrivals import Arrivals
from gcc_platform.migration.reverse.refusals import About, about, table_refuses
from gcc_platform.migration.reverse.rows_sql import insert_sql, series_sql

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    """What a poll did."""

    read: int = 0
    """Events that arrived, some of them seen before."""
    written: int = 0
    """Those that had no row."""
    refused: int = 0
    """Those that PostgreSQL cannot store."""

    def __add__(self, other: "Written") -> "Written":
        return Written(self.read + other.read, self.written + other.written, self.refused + other.refused)


@dataclass(frozen=True)
class ReverseWriter:
    """Writes to one old table, over a connection of its own."""

    state: Connection
    old: Connection
    table: LegacyTable
    database: Database
    arrivals: Arrivals

    async def poll(self) -> Written:
        """Write what has arrived since the last poll. Killed in between, the next one finds what is there.

        Raises TableRefuses, psycopg.Error and ClickHouseUnavailable; then nothing is forgotten.
        """
        now, done = await self.arrivals.now(), Written()
        statement = await self._statement()
        async for batch in self.arrivals.since(await self._arrived_until()):
            done += await self._write(statement, batch)
        await self.state.execute(
            """INSERT INTO migration.reverse (legacy_table, arrived_until, rows_read, rows_written)
            VALUES (%(table)s, %(until)s, %(read)s, %(written)s) ON CONFLICT (legacy_table) DO UPDATE
            SET arrived_until = excluded.arrived_until, rows_read = reverse.rows_read + excluded.rows_read,
                rows_written = reverse.rows_written + excluded.rows_written, moved_at = now()""",
            {"table": self.table.name, "until": now, "read": done.read, "written": done.written},
        )
        return done

    async def retry(self) -> Written:
        """Try the events again that were refused, for the cause may be fixed. Raises what `poll` raises."""
        noted = await self.state.execute(
            "SELECT event_id, now() FROM migration.unwritten WHERE legacy_table = %s ORDER BY event_id",
            [self.table.name],
        )
        rows, done = await noted.fetchall(), Written()
        statement = await self._statement() if rows else b""
        for first in range(0, len(rows), self.arrivals.most):
            some = rows[first : first + self.arrivals.most]
            events = await self.arrivals.with_ids([event_id for event_id, _ in some])
            done += await self._write(statement, events)
            await self.state.execute(  # those that are refused again have a later time
                "DELETE FROM migration.unwritten WHERE legacy_table = %s AND event_id = ANY(%s) AND found_at <= %s",
                [self.table.name, [_event_id(event) for event in events], some[0][1]],
            )
        return done

    async def _arrived_until(self) -> datetime:
        found = await self.state.execute(
            "SELECT arrived_until FROM migration.reverse WHERE legacy_table = %s", [self.table.name]
        )
        row = await found.fetchone()
        return row[0] if row else _BEGINNING

    async def _statement(self) -> bytes:
        series = series_sql(self.table, self.database)
        if series:
            found = await self.old.execute("SELECT to_regclass(%s) IS NOT NULL", [series[0]])
            row = await found.fetchone()
            series = series if row and row[0] else None
        return insert_sql(self.table, self.database, series[1] if series else None).encode()

    async def _write(self, statement: bytes, batch: Sequence[bytes]) -> Written:
        """Write a batch in one transaction. An event that PostgreSQL refuses is found by halves, and noted."""
        try:
            return Written(len(batch), await self._insert(statement, batch))
        except UnicodeDecodeError as error:
            refusal = f"its text is not UTF-8: {error.reason}"
        except psycopg.Error as error:
            if about(error) is About.TABLE:
                raise table_refuses(self.table.name, error) from None
            if about(error) is About.SERVER:
                raise
            refusal = str(error).strip()
        if len(batch) == 1:
            await self._note(batch[0], refusal)
            return Written(1, 0, 1)
        middle = len(batch) // 2
        return await self._write(statement, batch[:middle]) + await self._write(statement, batch[middle:])

    async def _insert(self, statement: bytes, batch: Sequence[bytes]) -> int:
        if not batch:
            return 0
        found = await (await self.old.execute(statement, {"events": b"\n".join(batch).decode()})).fetchone()
        assert found is not None
        return int(found[0])

    async def _note(self, event: bytes, refusal: str) -> None:
        await self.state.execute(
            """INSERT INTO migration.unwritten (legacy_table, event_id, reason) VALUES (%s, %s, %s)
            ON CONFLICT (legacy_table, event_id) DO UPDATE
            SET reason = excluded.reason, found_at = clock_timestamp()""",
            [self.table.name, _event_id(event), refusal],
        )


def _event_id(event: bytes) -> UUID:
    """Of an event whose other text may be invalid."""
    return UUID(json.loads(event.decode(errors="replace"))["event_id"])
