"""gcc-ingest dead-letters: inspect and replay archived dead letters."""

import click

from ingest_service.commands.dead_letters.list_ import list_
from ingest_service.commands.dead_letters.replay import replay
from ingest_service.commands.dead_letters.show import show


@click.group()
def dead_letters() -> None:
    """Inspect archived dead letters and publish them again.

    `gcc-ingest archive` moves them from the error queues to the archive.
    """


for command in (list_, show, replay):
    dead_letters.add_command(command)
