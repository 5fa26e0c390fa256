"""gcc-ingest spool: looks into crawlers' spools."""

import click

from ingest_service.commands.spool.list_ import list_


@click.group()
def spool() -> None:
    """Look into the spools in which crawlers keep events while the broker is unavailable."""


spool.add_command(list_)
