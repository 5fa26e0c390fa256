"""The options that select dead letters."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from uuid import UUID

import click

from ingest_service.archive.table import Selection
from ingest_service.commands.time_option import parse_time
from ingest_service.events.registry import EVENT_TYPES

EVENT_TYPE = click.Choice(sorted(EVENT_TYPES))

_OPTIONS = (
    click.option("--type", "types", multiple=True, type=EVENT_TYPE, metavar="TYPE",
                 help="Select this event type; may be repeated."),
    click.option("--reason", "reasons", multiple=True, help="Select this x-gcc-reason; may be repeated."),
    click.option("--since", type=parse_time, metavar="TIME", help="Last rejected at or after TIME; 2h: two hours ago."),
    click.option("--until", type=parse_time, metavar="TIME", help="Last rejected before TIME."),
)  # fmt: skip


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, passed as one Selection."""

    @wraps(command)
    def run(
        *,
        types: tuple[str, ...],
        reasons: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        ids: tuple[UUID, ...] = (),
        **others: object,
    ) -> None:
        selection = Selection(event_types=types, reasons=reasons, since=since, until=until, ids=tuple(map(str, ids)))
        command(selection=selection, **others)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
