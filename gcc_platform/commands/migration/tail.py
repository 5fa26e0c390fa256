"""gcc-platform migration tail: takes over what crawlers not yet upgraded still write."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import click
import structlog

from gcc_platform.commands.migration import daemon
from gcc_platform.commands.migration.daemon import Look, Preparation
from gcc_platform.commands.migration.servers import TABLES
from gcc_platform.migration import horizon, legacy_database
from gcc_platform.migration.chunks import is_planned
from gcc_platform.migration.mirror import Mirror
from gcc_platform.migration.servers import Servers
from gcc_platform.migration.slot import Slot
from gcc_platform.migration.slot_tail import SlotTail
from gcc_platform.migration.tail import Tail
from ingest_service.commands.errors import exit_on_error

_log = structlog.get_logger()


@click.command()
@TABLES
@click.option("--once", is_flag=True, help="Take what is there, and end.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Between two looks.")
@click.option("--slot", is_flag=True, help="Learn of rows from a logical slot of the old database.")
@exit_on_error()
def tail(names: tuple[str, ...], once: bool, seconds: float, slot: bool) -> None:
    """Take over rows that crawlers still write to the old tables, as they commit. Runs until it is stopped.

    Rows with an event_id are left out: their events come through the broker. A database that is away is waited for.
    Tables of GCC_LEGACY_TABLES are mirrored besides, with all their rows, for the warehouse that still reads them.
    With --slot, rows are named by the old database's WAL: it takes wal_level = logical, and the server keeps WAL until
    the tail has read it.

    \b
    Examples:
      gcc-platform migration tail
      gcc-platform migration tail profile_log --once
      gcc-platform migration tail --slot
    """
    daemon.run(lambda servers: _opened(servers, names, with_slot=slot), seconds, once=once)


@asynccontextmanager
async def _opened(servers: Servers, names: Sequence[str], *, with_slot: bool) -> AsyncIterator[Look]:
    await horizon.check(servers.old)
    legacy = servers.settings.legacy
    async with legacy_database.reading(legacy) as monitor, legacy_database.writing(legacy) as control:
        tails = [
            Tail(servers.state, servers.old, monitor, servers.clickhouse, table, servers.database)
            for table in await servers.tables(names)
        ]
        by_slot = [
            each
            for each in tails
            if with_slot and each.table.complete is None and await is_planned(servers.state, each.table.name)
        ]
        by_gaps = [each for each in tails if each not in by_slot]
        slot = SlotTail(servers.state, Slot(control, [each.table for each in by_slot]), by_slot) if by_slot else None
        if slot:
            await slot.begin()

        mirrors = [
            Mirror(servers.state, servers.old, servers.clickhouse, each.table, servers.database)
            for each in tails
            if each.table.name in servers.settings.still_read_from_postgres
        ]
        planned = Preparation("gcc-platform migration backfill")

        async def look() -> None:
            while slot and (taken := await slot.poll()):
                _log.info("rows taken", by="slot", rows=taken)
            for each in by_gaps:
                if not await planned.is_there(each.table.name, partial(is_planned, servers.state, each.table.name)):
                    continue
                while taken := await each.poll():
                    _log.info("rows taken", table=each.table.name, rows=taken)
            for mirror in mirrors:
                if copied := await mirror.advance():
                    _log.info("rows mirrored", table=mirror.table.name, rows=copied)

        yield look
