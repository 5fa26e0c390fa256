"""The type of time options."""

from datetime import datetime

import click

from ingest_service.archive import times


def parse_time(text: str) -> datetime:
    """Parse a time to UTC. Raises click.BadParameter."""
    try:
        return times.parse(text)
    except times.BadTime as error:
        raise click.BadParameter(str(error)) from None
