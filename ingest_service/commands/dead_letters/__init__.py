"""gcc-ingest dead-letters: what was archived, looked at and published again."""

import click

from ingest_service.commands.dead_letters.list_ import list_
from ingest_service.commands.dead_letters.replay import replay
from ingest_service.commands.dead_letters.show import show


@click.group()
def dead_letters() -> None:
    """Look at archived dead letters, and publish them again.

    They are there once `gcc-ingest archive` has taken them out of the error queues.
    """


for command in (list_, show, replay):
    dead_letters.add_command(command)
