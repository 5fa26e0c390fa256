"""gcc-ingest run: run the service in the foreground."""

import asyncio
import signal

import click
import uvloop

from ingest_service.commands.errors import exit_on_error
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability import logs, sentry
from ingest_service.observability.watchdog import watched
from ingest_service.service import Service
from ingest_service.settings import Settings


@click.command()
@click.option("--verbose", is_flag=True, help="Log each batch.")
def run(verbose: bool) -> None:
    """Consume every event type into ClickHouse until SIGTERM or Ctrl-C.

    Received messages are flushed and acknowledged before the exit; those that cannot be stored within GCC_STOP_SECONDS
    go back to the broker. The service waits for unavailable servers.

    \b
    Examples:
      gcc-ingest run
      GCC_FLUSH_SECONDS=0.5 gcc-ingest run     # visible sooner, in smaller inserts
      curl http://127.0.0.1:8081/status
    """
    with exit_on_error():
        settings = Settings()
        dsn = settings.sentry_dsn
        if dsn is not None:
            sentry.configure(dsn.get_secret_value())
        logs.configure(settings.log_format, "DEBUG" if verbose else "INFO", [sentry.report] if dsn else [])
        # uvloop reads sockets and writes inserts for about a fifth less CPU than asyncio's own loop.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    service = Service(settings, EVENT_TYPES.values())
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, service.stop)
    async with watched():
        await service.run()
