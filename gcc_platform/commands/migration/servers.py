"""What the commands of a migration connect to, and the tables that they are called with."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from gcc_platform.migration import legacy_database, state
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.series_tables import SERIES_TABLES
from gcc_platform.migration.settings import MigrationSettings
from ingest_service.clickhouse.client import ClickHouse, connected
from ingest_service.observability import logs
from ingest_service.settings import Settings as IngestSettings

_Result = TypeVar("_Result")

TABLES = click.argument("names", nargs=-1, type=click.Choice(list(LEGACY_TABLES)), metavar="[TABLE]...")

TABLES_AND_SERIES = click.argument(
    "names", nargs=-1, type=click.Choice([*LEGACY_TABLES, *SERIES_TABLES]), metavar="[TABLE]..."
)


@dataclass(frozen=True)
class Servers:
    """Open connections, and the settings they come from."""

    settings: MigrationSettings
    database: Database
    old: Connection
    state: Connection
    clickhouse: ClickHouse

    async def tables(self, names: Sequence[str]) -> Sequence[LegacyTable]:
        """The named old tables, or all that there are."""
        return [LEGACY_TABLES[name] for name in names] or await legacy_database.present(self.old)

    async def tables_and_series(self, names: Sequence[str]) -> tuple[Sequence[LegacyTable], Sequence[LegacyTable]]:
        """The named old tables, or all that there are: logs, and tables of series."""
        if names:
            logs = [LEGACY_TABLES[name] for name in names if name in LEGACY_TABLES]
            return logs, [SERIES_TABLES[name] for name in names if name in SERIES_TABLES]
        return await legacy_database.present(self.old), await legacy_database.present_series(self.old)


@asynccontextmanager
async def connect(settings: MigrationSettings) -> AsyncIterator[Servers]:
    """Connect to the old database, the state and ClickHouse. Raises UserError with what is wrong."""
    database = settings.database
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(legacy_database.reading(settings.legacy))
        own = await stack.enter_async_context(state.connected(settings.state))
        await state.create(own)
        clickhouse = await stack.enter_async_context(connected(settings.clickhouse, settings.insert_seconds))
        await clickhouse.ping()
        yield Servers(settings, database, old, own, clickhouse)


def with_servers(work: Callable[[Servers], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run something on the servers of the environment. Ctrl-C and SIGTERM cancel it, which is safe at any time.

    Raises KeyboardInterrupt then.
    """
    logs.configure(IngestSettings().log_format)

    async def run() -> _Result:
        running = asyncio.current_task()
        assert running is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        async with connect(MigrationSettings()) as servers:
            return await work(servers)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
