"""gcc-platform migration reverse: writes events that only ClickHouse has to the old tables."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import click
import structlog

from gcc_platform.commands.migration import daemon
from gcc_platform.commands.migration.daemon import Look, Preparation
from gcc_platform.commands.migration.servers import TABLES
from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_database import has_index
from gcc_platform.migration.reverse.arrivals import Arrivals, overlap
from gcc_platform.migration.reverse.refusals import TableRefuses
from gcc_platform.migration.reverse.writer import ReverseWriter
from gcc_platform.migration.servers import Servers
from ingest_service.commands.errors import exit_on_error
from ingest_service.settings import Settings as IngestSettings

_log = structlog.get_logger()


@click.command()
@TABLES
@click.option("--once", is_flag=True, help="Write what has arrived, and end.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Between two looks.")
@exit_on_error()
def reverse(names: tuple[str, ...], once: bool, seconds: float) -> None:
    """Write events that only ClickHouse has to the old tables, so that going back loses nothing. Runs until stopped.

    Start it before the first crawler stops writing rows: then it finds every row there already, which proves it daily.
    scrape_request_log, the crawlers' queue of work, is not written back. Events that the old database refused are tried
    again at each start.

    \b
    Examples:
      gcc-platform migration reverse
      gcc-platform migration reverse profile_log --once
    """
    daemon.run(lambda servers: _opened(servers, names, once=once), seconds, once=once)


@asynccontextmanager
async def _opened(servers: Servers, names: Sequence[str], *, once: bool) -> AsyncIterator[Look]:
    async with legacy_database.writing(servers.settings.legacy) as old:
        late = overlap(max(IngestSettings().insert_timeout_seconds, servers.settings.insert_seconds))
        writers = [
            ReverseWriter(
                servers.state, old, table, servers.database, Arrivals(servers.clickhouse, table, overlap=late)
            )
            for table in await servers.tables(names)
            if not table.is_queue
        ]
        tried: set[str] = set()
        indexed = Preparation("gcc-platform migration init")

        async def look() -> None:
            """A table that refuses keeps no other one from its rows."""
            refusals = []
            for each in writers:
                if not once and not await indexed.is_there(each.table.name, partial(has_index, old, each.table)):
                    continue
                try:
                    done = await each.poll()
                    if each.table.name not in tried:
                        done += await each.retry()
                        tried.add(each.table.name)
                except TableRefuses as error:
                    refusals.append(error)
                    continue
                if done.written or done.refused:
                    _log.info("rows written", table=each.table.name, rows=done.written, refused=done.refused)
            if refusals:
                raise refusals[0]

        yield look
