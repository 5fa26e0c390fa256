"""gcc-ingest dead-letters list: counts of dead letters by type, reason and state."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

import click
import msgspec

from ingest_service.archive.forecast import Forecasts
from ingest_service.archive.records import UNKNOWN_TIME
from ingest_service.archive.replay_plan import letter_table
from ingest_service.archive.table import DeadLetterCount, Selection, State
from ingest_service.commands.dead_letters.selected import selecting
from ingest_service.commands.errors import exit_on_error
from ingest_service.observability import safe_text
from ingest_service.settings import Settings

_MOST_CHECKED = 10_000
_LONGEST_REASON = 60


@click.command("list")
@selecting
@click.option(
    "--check/--no-check",
    default=None,
    help=f"Read the bodies and count how many would be refused again.  [default: if at most {_MOST_CHECKED}]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
def list_(selection: Selection, check: bool | None, as_json: bool) -> None:
    """Count dead letters by type, reason and state.

    waiting: not replayed yet. replayed: published again, and not rejected since. failed again: published again, and
    rejected again. refused again: of those not replayed, how many the current validation would refuse; not known: they
    were refused by their table, and only inserting them can decide. `newest` is the id of the one rejected last, for
    `show`.

    \b
    Examples:
      gcc-ingest dead-letters list --since 24h
      gcc-ingest dead-letters list --type post_log --json
    """
    with exit_on_error():
        groups, forecasts = asyncio.run(_read(Settings(), selection, check))
    if as_json:
        text = msgspec.json.encode([_with_forecast(group, forecasts) for group in groups])
        click.echo(safe_text.lines(msgspec.json.format(text, indent=2)))
    else:
        click.echo("\n".join(described(groups, forecasts)))
    if forecasts is None and check is None:
        click.echo(
            f"more than {_MOST_CHECKED} letters: bodies not read, so 'refused again' is not counted;"
            " --check reads them",
            err=True,
        )


async def _read(
    settings: Settings, selection: Selection, check: bool | None
) -> tuple[list[DeadLetterCount], Forecasts | None]:
    async with letter_table(settings) as table:
        groups = await table.groups(selection)
        if check is None:
            check = sum(group.letters - group.replayed for group in groups) <= _MOST_CHECKED
        if not check:
            return groups, None
        forecasts = Forecasts(settings)
        not_replayed = (State.WAITING, State.FAILED_AGAIN)
        await forecasts.read(table, msgspec.structs.replace(selection, states=not_replayed))
        return groups, forecasts


def _with_forecast(group: DeadLetterCount, forecasts: Forecasts | None) -> dict[str, object]:
    """A group as in the JSON output; the forecast is null if the bodies were not read."""
    found = forecasts.of(group.event_type, group.reason) if forecasts else None
    return {
        **msgspec.structs.asdict(group),
        "refused_again": found.refused.total() if found else None,
        "refused_again_by_reason": found.refused if found else None,
        "not_known": found.not_known if found else None,
    }


def described(groups: Sequence[DeadLetterCount], forecasts: Forecasts | None) -> Iterator[str]:
    """Format each group as a paragraph of lines that fit 80 columns, so that ids are never truncated."""
    if not groups:
        yield "no dead letters"
    for group in groups:
        reason = safe_text.line(group.reason)
        yield f"{group.event_type}  {reason[:_LONGEST_REASON] + '...' if len(reason) > _LONGEST_REASON else reason}"
        yield (
            f"  letters {group.letters}  waiting {group.waiting}  replayed {group.replayed}"
            f"  failed again {group.failed_again}"
        )
        if forecasts is not None:
            found = forecasts.of(group.event_type, group.reason)
            yield f"  refused again {found.refused.total()}  not known {found.not_known}"
        yield f"  rejected {time_text(group.first_rejected_at)} to {time_text(group.last_rejected_at)}"
        yield f"  newest {group.newest}"


def time_text(time: datetime) -> str:
    """Format a time in UTC, to the second."""
    return "unknown" if time == UNKNOWN_TIME else f"{time:%Y-%m-%d %H:%M:%S}Z"
