"""gcc-ingest dead-letters replay: publish dead letters again, after printing the expected outcome."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest_service.archive.forecast import Forecasts
from ingest_service.archive.replay import Replay
from ingest_service.archive.table import DeadLetterCount, Selection, State
from ingest_service.commands.dead_letters.list_ import described
from ingest_service.commands.dead_letters.selected import EVENT_TYPE, letter_table, selecting
from ingest_service.commands.errors import exit_on_error
from ingest_service.events.contract import EXCHANGE, EventType
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
@click.option("--dry-run", is_flag=True, help="Only print what would be published.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def replay(
    selection: Selection,
    everything: bool,
    again: bool,
    to: str | None,
    rate: float | None,
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
        plan = asyncio.run(_plan(settings, selection, again, EVENT_TYPES[to] if to else None))
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


@dataclass(frozen=True)
class Plan:
    """The dead letters that a replay will publish."""

    selection: Selection
    to: EventType | None
    """The event type to publish all letters as; None: each as its own type."""
    groups: Sequence[DeadLetterCount]
    replayed: int
    """Skipped, because they were replayed already."""
    failed_again: int
    """Skipped, because they failed again after a replay."""
    forecasts: Forecasts

    @property
    def count(self) -> int:
        """Number of letters to publish."""
        return sum(group.letters for group in self.groups) - self.forecasts.total().elsewhere

    def lines(self) -> Iterator[str]:
        """Describe the plan in a few lines of text."""
        skipped = (
            f"; skipped: {self.replayed} already replayed, {self.failed_again} failed again (--again includes them)"
            if self.replayed or self.failed_again
            else ""
        )
        yield f"{self.count} letters to publish again{f' as {self.to.name}' if self.to else ''}{skipped}"
        found = self.forecasts.total()
        if found.elsewhere:
            yield (
                f"{found.elsewhere} more are skipped: the address in their headers is not {EXCHANGE} with their type's "
                "routing key (--to TYPE publishes them as events of TYPE)"
            )
        if found.refused:
            reasons = ", ".join(f"{reason} {count}" for reason, count in found.refused.most_common())
            yield f"{found.refused.total()} of them would be refused again: {reasons}"
        if found.not_known:
            yield f"{found.not_known} of them may be refused again: their table refused them before"


async def _plan(settings: Settings, chosen: Selection, again: bool, to: EventType | None) -> Plan:
    async with letter_table(settings) as table:
        states = tuple(State) if again else (State.WAITING,)
        now = await table.now()  # letters that return meanwhile are not published twice
        selection = msgspec.structs.replace(chosen, states=states, archived_until=now)
        groups, found = await table.groups(selection), await table.groups(chosen)
        forecasts = Forecasts(settings, to)
        await forecasts.read(table, selection)
    return Plan(
        selection,
        to,
        groups,
        0 if again else sum(group.replayed for group in found),
        0 if again else sum(group.failed_again for group in found),
        forecasts,
    )


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
            asyncio.run(_publish(settings, plan, rate, recorded))
        finally:
            progress.stop()
            click.echo(f"{count} letters published again and confirmed")


async def _publish(settings: Settings, plan: Plan, rate: float | None, recorded: Callable[[int], None]) -> None:
    async with letter_table(settings) as table:
        await Replay(settings.amqp(), table, rate, plan.to).run(plan.selection, recorded)
