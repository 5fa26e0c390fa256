"""The old database as five years have left it: two large logs, a little of every other table."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.rehearsal.old_rows import create_tables, fill
from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.migration.workers import TABLES, run

_FEW = 1000


class Filled(msgspec.Struct, frozen=True):
    """What was made."""

    rows: int
    years: float
    seconds: float


def fill_all(servers: Servers, rows: int, years: float, seed: int, say: Callable[[str], None]) -> Filled:
    """Half of the rows in each large log at the same time, and a few in every other table; then `init`."""
    began = time.monotonic()
    asyncio.run(_fill_all(servers.old_url, rows, years, seed, say))
    seconds = time.monotonic() - began
    done = run(servers, 1, "init")
    assert done.code == 0, done.output
    return Filled(rows + _FEW * (len(LEGACY_TABLES) - len(TABLES)), years, seconds)


async def _fill_all(url: str, rows: int, years: float, seed: int, say: Callable[[str], None]) -> None:
    until = datetime.now(UTC).replace(tzinfo=None)
    async with legacy_database.writing(url) as connection:
        await create_tables(connection)
        for table in LEGACY_TABLES:  # no series: of other crawls, they would be brought as rows that a log has lost
            if table not in TABLES:
                await fill(connection, table, _FEW, years, until, seed=seed)
    await asyncio.gather(*(_fill(url, table, rows // 2, years, until, seed, say) for table in TABLES))
    async with legacy_database.writing(url) as connection:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")


async def _fill(
    url: str, table: str, rows: int, years: float, until: datetime, seed: int, say: Callable[[str], None]
) -> None:
    def report(count: int) -> None:
        if count * 20 // rows != (count - 50_000) * 20 // rows:
            say(f"  {table}: {count:,} of {rows:,} rows")

    async with legacy_database.writing(url) as connection:
        await fill(connection, table, rows, years, until, seed=seed, progress=report)
