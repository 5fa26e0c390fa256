"""gcc-ingest dead-letters replay: publish dead letters again, after printing the expected outcome."""

import asyncio
import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest_service.archive import replay_plan
from ingest_service.archive.replay_plan import Plan
from ingest_service.archive.table import Selection
from ingest_service.commands.dead_letters.list_ import described
from ingest_service.commands.dead_letters.selected import EVENT_TYPE, selecting
from ingest_service.commands.errors import exit_on_error
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability import logs
from ingest_service.settings import Settings


@click.command()
@selecting
@click.option("--id", "ids", multiple=True, type=click.UUID, metavar="ID", help="Select this letter; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Select every letter; required if no filter is given.")
@click.option("--again", is_flag=True, help="Include letters already replayed or failed again.")
@click.option("--to", type=EVENT_TYPE, metavar="TYPE", help="Publish as events of TYPE, ignoring their headers.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Publish at most N letters a second."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Publish at most N letters.")
@click.option("--dry-run", is_flag=True, help="Only print what would be published.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def replay(
    selection: Selection,
    everything: bool,
    again: bool,
    to: str | None,
    rate: float | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Publish dead letters again, as events of their type.

    Run it after the cause is fixed. It first prints how many would be refused again. Stored events count once, however
    often they are published. A letter that fails again returns to the error queue with its attempts incremented, and
    is replayed only with --again. Letters whose original address is not their type's are skipped, unless --to names
    the type.

    \b
    Examples:
      gcc-ingest dead-letters replay --type order_log --reason refused_by_table --dry-run
      gcc-ingest dead-letters replay --since 2026-11-24 --rate 500
    """
    if not dry_run:
        _require_selection(selection, everything, yes)
    with exit_on_error():
        settings = Settings()
        logs.configure(settings.log_format)
        chosen = EVENT_TYPES[to] if to else None
        plan = asyncio.run(replay_plan.make(settings, selection, again=again, to=chosen, limit=limit))
        click.echo("\n".join(plan.lines()), err=True)
        if dry_run:
            click.echo("\n".join(described(plan.groups, plan.forecasts)))
        elif plan.count and (yes or click.confirm("Publish them?", err=True)):
            _replay(settings, plan, rate)


def _require_selection(selection: Selection, everything: bool, yes: bool) -> None:
    if selection == Selection() and not everything:
        raise click.UsageError("select letters with --type, --reason, --since, --until or --id, or all with --all")
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("cannot ask for confirmation, stdin is not a terminal: use --yes or --dry-run")


def _replay(settings: Settings, plan: Plan, rate: float | None) -> None:
    count = 0
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=plan.count)

        def recorded(letters: int) -> None:
            nonlocal count
            count += letters
            progress.update(task, completed=count)

        try:
            asyncio.run(replay_plan.carry_out(settings, plan, recorded, rate))
        finally:
            progress.stop()
            click.echo(f"{count} letters published again and confirmed")
