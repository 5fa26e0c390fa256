"""gcc-platform migration tail: takes over what crawlers not yet upgraded still write."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import click
import structlog

from gcc_platform.commands.migration import daemon
from gcc_platform.commands.migration.daemon import Look
from gcc_platform.commands.migration.servers import TABLES
from gcc_platform.migration import chunks, horizon, legacy_database
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.mirror import Mirror
from gcc_platform.migration.servers import Servers
from gcc_platform.migration.tail import Tail
from ingest_service.commands.errors import exit_on_error

_log = structlog.get_logger()


@click.command()
@TABLES
@click.option("--once", is_flag=True, help="Take what is there, and end.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Between two looks.")
@exit_on_error()
def tail(names: tuple[str, ...], once: bool, seconds: float) -> None:
    """Take over rows that crawlers still write to the old tables, as they commit. Runs until it is stopped.

    Rows with an event_id are left out: their events come through the broker. A database that is away is waited for.
    Tables of GCC_LEGACY_TABLES are mirrored besides, with all their rows, for the warehouse that still reads them.

    \b
    Examples:
      gcc-platform migration tail
      gcc-platform migration tail profile_log --once
    """
    daemon.run(lambda servers: _opened(servers, names), seconds, once=once)


@asynccontextmanager
async def _opened(servers: Servers, names: Sequence[str]) -> AsyncIterator[Look]:
    await horizon.check(servers.old)
    async with legacy_database.reading(servers.settings.legacy) as monitor:
        tails = [
            Tail(servers.state, servers.old, monitor, servers.clickhouse, table, servers.database)
            for table in await servers.tables(names)
        ]

        mirrors = [
            Mirror(servers.state, servers.old, servers.clickhouse, each.table, servers.database)
            for each in tails
            if each.table.name in servers.settings.still_read_from_postgres
        ]
        waiting: set[str] = set()

        async def look() -> None:
            for each in tails:
                if not await _is_planned(servers, each.table, waiting):
                    continue
                while taken := await each.poll():
                    _log.info("rows taken", table=each.table.name, rows=taken)
            for mirror in mirrors:
                if copied := await mirror.advance():
                    _log.info("rows mirrored", table=mirror.table.name, rows=copied)

        yield look


async def _is_planned(servers: Servers, table: LegacyTable, waiting: set[str]) -> bool:
    """Whether the tail has a beginning: where the backfill ends. Logs once for each table that it has none."""
    if await chunks.is_planned(servers.state, table.name):
        waiting.discard(table.name)
        return True
    if table.name not in waiting:
        waiting.add(table.name)
        _log.warning("waiting for gcc-platform migration backfill to plan the table", table=table.name)
    return False
