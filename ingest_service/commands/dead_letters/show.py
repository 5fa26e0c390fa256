"""gcc-ingest dead-letters show: print one dead letter, with control characters escaped."""

import asyncio
import sys
from uuid import UUID

import click

from ingest_service.archive.replay_plan import letter_table
from ingest_service.archive.table import DeadLetterDetails
from ingest_service.commands.dead_letters.list_ import time_text
from ingest_service.commands.errors import exit_on_error
from ingest_service.observability import safe_text
from ingest_service.settings import Settings


@click.command()
@click.argument("letter", metavar="ID", type=click.UUID)
@click.option("--body", "only_body", is_flag=True, help="Only the body: byte for byte, unless stdout is a terminal.")
def show(letter: UUID, only_body: bool) -> None:
    """Print one dead letter with all its fields.

    Control characters and invalid UTF-8 are escaped.

    \b
    Examples:
      gcc-ingest dead-letters show 7d0a1c5e-...
      gcc-ingest dead-letters show 7d0a1c5e-... --body | jq -c .store=1 | gcc-ingest publish order_log -
    """
    with exit_on_error():
        kept = asyncio.run(_find(Settings(), letter))
    if not only_body:
        click.echo(whole(kept))
    elif sys.stdout.isatty():
        _show_body(kept.body)
    else:
        sys.stdout.buffer.write(kept.body)


async def _find(settings: Settings, letter: UUID) -> DeadLetterDetails:
    async with letter_table(settings) as table:
        return await table.find(letter)


def _show_body(body: bytes) -> None:
    shown = safe_text.lines(body)
    click.echo(shown)
    if shown.encode() != body:
        click.echo("escaped for the terminal: a file or a pipe gets the raw bytes", err=True)


def whole(kept: DeadLetterDetails) -> str:
    """Format a dead letter: one line per field, then the body."""
    fields = {
        "letter": kept.letter_id,
        "type": kept.event_type,
        "reason": kept.reason,
        "detail": kept.detail,
        "state": kept.state.replace("_", " "),
        "attempts": kept.attempts,
        "first rejected": time_text(kept.first_rejected_at),
        "last rejected": time_text(kept.last_rejected_at),
        "replays": f"{kept.replays}, last {time_text(kept.last_replayed_at)}" if kept.replays else 0,
        "came with": f"exchange {kept.original_exchange}, routing key {kept.original_routing_key}",
        "archived": f"{time_text(kept.archived_at)} in {kept.archive_file}",
        "headers": kept.headers,
    }
    lines = [f"{name:<15} {safe_text.line(str(value))}" for name, value in fields.items()]
    return "\n".join([*lines, "", safe_text.lines(kept.body)])
