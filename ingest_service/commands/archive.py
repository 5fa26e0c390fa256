"""gcc-ingest archive: move dead letters to object storage and the table."""

import asyncio
import signal

import click

from ingest_service.archive.archive import Archive
from ingest_service.commands.errors import exit_on_error
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability import logs
from ingest_service.settings import Settings


@click.command()
@click.option("--once", is_flag=True, help="Exit when the error queues are empty; an unavailable server is an error.")
def archive(once: bool) -> None:
    """Archive the dead letters of every error queue until SIGTERM or Ctrl-C.

    They are written to files below GCC_ARCHIVE_URL, by type and hour, and to the table that `gcc-ingest dead-letters`
    reads. A letter is acknowledged when both are durable. Several instances may run.

    \b
    Examples:
      gcc-ingest archive
      GCC_ARCHIVE_URL=s3://bucket/dead-letters gcc-ingest archive --once
    """
    with exit_on_error():
        settings = Settings()
        logs.configure(settings.log_format)
        archived = asyncio.run(_archive(settings, once))
    if once:
        click.echo(f"{archived} dead letters archived")


async def _archive(settings: Settings, once: bool) -> int:
    archive = Archive(settings, EVENT_TYPES.values())
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, archive.stop)
    await (archive.run_once() if once else archive.run())
    return archive.archived
