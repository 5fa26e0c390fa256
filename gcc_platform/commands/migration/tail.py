"""gcc-platform migration tail: takes over what crawlers not yet upgraded still write."""

import asyncio
import contextlib
from collections.abc import Sequence

import click
import psycopg
import structlog

from gcc_platform.commands.migration.servers import TABLES, Servers, with_servers
from gcc_platform.migration import horizon, legacy_database
from gcc_platform.migration.tail import Tail
from gcc_platform.resources.postgres import PostgresUnavailable
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable
from ingest_service.commands.errors import exit_on_error

_RETRY = Backoff(first=1.0, most=30.0)
_AWAY = (PostgresUnavailable, psycopg.Error, InsertFailed, ClickHouseUnavailable)
_log = structlog.get_logger()


@click.command()
@TABLES
@click.option("--once", is_flag=True, help="Take what is there, and end.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Between two looks.")
@exit_on_error()
def tail(names: tuple[str, ...], once: bool, seconds: float) -> None:
    """Take over rows that crawlers still write to the old tables, as they commit. Runs until it is stopped.

    Rows with an event_id are left out: their events come through the broker. A database that is away is waited for.

    \b
    Examples:
      gcc-platform migration tail
      gcc-platform migration tail profile_log --once
    """
    with contextlib.suppress(KeyboardInterrupt):
        if once:
            with_servers(lambda servers: _take_all(servers, names))
        else:
            _forever(names, seconds)


def _forever(names: Sequence[str], seconds: float) -> None:
    attempt = 0
    while True:
        try:
            with_servers(lambda servers: _take_until_stopped(servers, names, seconds))
        except _AWAY as error:
            attempt += 1
            wait = _RETRY.seconds(attempt)
            _log.warning("the tail waits", error=str(error).strip(), seconds=round(wait, 1))
            asyncio.run(asyncio.sleep(wait))


async def _take_until_stopped(servers: Servers, names: Sequence[str], seconds: float) -> None:
    while True:
        await _take_all(servers, names)
        await asyncio.sleep(seconds)


async def _take_all(servers: Servers, names: Sequence[str]) -> None:
    """Poll each table until nothing is left of what was there."""
    await horizon.check(servers.old)
    async with legacy_database.reading(servers.settings.legacy) as monitor:
        for table in await servers.tables(names):
            tail_of = Tail(servers.state, servers.old, monitor, servers.clickhouse, table, servers.database)
            while taken := await tail_of.poll():
                _log.info("rows taken", table=table.name, rows=taken)
