"""The reverse writer of one table: what has arrived in ClickHouse, and PostgreSQL does not have, is inserted there.

It begins before the first crawler stops writing rows. Then it finds every row there already, which proves it daily.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.reverse.arrivals import Arrivals
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

        Raises psycopg.Error and ClickHouseUnavailable; then nothing is forgotten.
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
        except psycopg.OperationalError:
            raise
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
            if len(batch) == 1:
                await self._note(batch[0], str(error).strip())
                return Written(1, 0, 1)
            middle = len(batch) // 2
            return await self._write(statement, batch[:middle]) + await self._write(statement, batch[middle:])

    async def _insert(self, statement: bytes, batch: Sequence[bytes]) -> int:
        async with self.old.transaction():
            await self.old.execute("CREATE TEMPORARY TABLE arrived (event jsonb) ON COMMIT DROP")
            async with self.old.cursor() as cursor, cursor.copy("COPY arrived FROM STDIN") as copy:
                await copy.write(b"".join(event.replace(b"\\", b"\\\\") + b"\n" for event in batch))
            found = await (await self.old.execute(statement)).fetchone()
        assert found is not None
        return int(found[0])

    async def _note(self, event: bytes, error: str) -> None:
        content: dict[str, Any] = json.loads(event)
        await self.state.execute(
            """INSERT INTO migration.unwritten (legacy_table, event_id, reason) VALUES (%s, %s, %s)
            ON CONFLICT (legacy_table, event_id) DO UPDATE SET reason = excluded.reason""",
            [self.table.name, content["event_id"], error],
        )
