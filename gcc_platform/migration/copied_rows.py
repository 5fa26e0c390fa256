"""Reads rows of an old table as rows of the raw table: PostgreSQL makes the events and a checksum of each."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gcc_platform.migration import checksum
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection


@dataclass
class CopiedRows:
    """Lines of ClickHouse's format TabSeparated, which is what COPY writes, and what is known of them."""

    lines: list[bytes] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    """Of the old rows, in the order of the lines."""
    checksum: int = 0
    """The sum of the rows' checksums: it does not depend on their order."""
    earliest: str | None = None
    """The first event_timestamp, as PostgreSQL writes it."""
    latest: str | None = None

    def add(self, line: bytes) -> None:
        """Take in a line: checksum, id, and the columns of the event, of which event_timestamp is the second."""
        row_sum, row_id, event = line.rstrip(b"\n").split(b"\t", 2)
        at = event.split(b"\t", 2)[1].decode()
        self.lines.append(event)
        self.ids.append(int(row_id))
        self.checksum += int(row_sum)
        self.earliest = min(self.earliest or at, at)
        self.latest = max(self.latest or at, at)


@dataclass
class Pace:
    """A limit of rows per second, or none: PostgreSQL makes no more than is read."""

    rows_per_second: float | None = None
    clock: Callable[[], float] = time.monotonic
    _next: float = 0.0

    async def wait(self, rows: int) -> None:
        """Wait until this number of rows may be read."""
        if self.rows_per_second:
            self._next = max(self._next, self.clock()) + rows / self.rows_per_second
            await asyncio.sleep(self._next - self.clock())


_ROWS_PER_WAIT = 500


async def copy_rows(
    connection: Connection,
    table: LegacyTable,
    database: Database,
    where: str,
    parameters: Mapping[str, Any],
    pace: Pace,
    *,
    has_event_id: bool = True,
) -> CopiedRows:
    """The complete and valid rows of a condition over `r`, as events. Raises psycopg.Error."""
    batches = copy_batches(connection, table, database, where, parameters, pace, has_event_id=has_event_id)
    found = [each async for each in batches]
    return found[0] if found else CopiedRows()


async def copy_batches(
    connection: Connection,
    table: LegacyTable,
    database: Database,
    where: str,
    parameters: Mapping[str, Any],
    pace: Pace,
    *,
    has_event_id: bool = True,
    most: int = sys.maxsize,
) -> AsyncIterator[CopiedRows]:
    """The same in batches of at most `most` rows, of which one is in memory. Raises psycopg.Error."""
    events = table.events_sql(database, where, has_event_id=has_event_id)
    # OFFSET 0: otherwise the events are made twice, once for the checksum.
    query = f"COPY (SELECT {checksum.in_postgres(table)}, e.* FROM ({events} OFFSET 0) AS e) TO STDOUT"
    found = CopiedRows()
    async with connection.cursor() as cursor, cursor.copy(query, parameters) as copy:
        async for line in copy:
            found.add(bytes(line))
            if len(found.lines) % _ROWS_PER_WAIT == 0:
                await pace.wait(_ROWS_PER_WAIT)
            if len(found.lines) == most:
                yield found
                found = CopiedRows()
    if found.lines:
        yield found
