"""gcc-platform watch: looks at everything, reports what is wrong to Alertmanager, and serves the status page."""

import asyncio
from pathlib import Path

import click

from gcc_platform import dagster_home
from gcc_platform.local_stack.settings import LocalStackSettings
from gcc_platform.settings import Settings
from gcc_platform.watch import service
from gcc_platform.watch.settings import WatchSettings
from ingest_service.commands.errors import exit_on_error
from ingest_service.observability import logs
from ingest_service.settings import Settings as IngestSettings


@click.command()
@exit_on_error()
def watch() -> None:
    """Watch the platform from outside Dagster until SIGTERM or Ctrl-C.

    Looks at the servers, the queues, the ingest service, the archive, Dagster and the disks every GCC_WATCH_SECONDS,
    and reports what is wrong to Alertmanager (ALERTMANAGER_URL). The status page is on GCC_WATCH_PORT.

    \b
    Examples:
      gcc-platform watch
      ALERTMANAGER_URL=https://alertmanager:9093 gcc-platform watch
      curl http://127.0.0.1:8082/status.json
    """
    logs.configure(IngestSettings().log_format)
    logs.silence_libraries()
    asyncio.run(service.run(WatchSettings(), Settings(), folders()))


def folders() -> list[Path]:
    """The folders whose disks are watched: the local stack's and Dagster's."""
    return [LocalStackSettings().directory, dagster_home.location()]
