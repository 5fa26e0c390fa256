"""The options that say which letters, and the table that has them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import wraps
from uuid import UUID

import click

from ingest_service.archive.table import DeadLetterTable, Selection
from ingest_service.clickhouse import client as clickhouse
from ingest_service.commands.time_option import parse_time
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.settings import Settings

EVENT_TYPE = click.Choice(sorted(EVENT_TYPES))

_QUERY_SECONDS = 120
_OPTIONS = (
    click.option("--type", "types", multiple=True, type=EVENT_TYPE, metavar="TYPE",
                 help="Of this event type; may be repeated."),
    click.option("--reason", "reasons", multiple=True, help="With this x-gcc-reason; may be repeated."),
    click.option("--since", type=parse_time, metavar="TIME", help="Rejected last then or later; 2h and 7d are ago."),
    click.option("--until", type=parse_time, metavar="TIME", help="Rejected last before then."),
)  # fmt: skip


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options, as one Selection."""

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


@asynccontextmanager
async def letter_table(settings: Settings) -> AsyncIterator[DeadLetterTable]:
    """The table of letters. Raises MissingUrl or BadUrl."""
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        yield DeadLetterTable(server)
