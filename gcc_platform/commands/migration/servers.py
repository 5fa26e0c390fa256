"""The tables that the commands of a migration are called with, and how they run on its servers."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.series_tables import SERIES_TABLES
from gcc_platform.migration.servers import Servers, connect
from gcc_platform.migration.settings import MigrationSettings
from ingest_service.observability import logs
from ingest_service.settings import Settings as IngestSettings

_Result = TypeVar("_Result")

TABLE = click.argument("name", type=click.Choice(list(LEGACY_TABLES)), metavar="TABLE")
TABLES = click.argument("names", nargs=-1, type=click.Choice(list(LEGACY_TABLES)), metavar="[TABLE]...")

TABLES_AND_SERIES = click.argument(
    "names", nargs=-1, type=click.Choice([*LEGACY_TABLES, *SERIES_TABLES]), metavar="[TABLE]..."
)


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
