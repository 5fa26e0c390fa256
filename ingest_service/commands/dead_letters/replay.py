"""gcc-ingest dead-letters replay: letters published again, once it is said what will become of them."""

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
@click.option("--id", "ids", multiple=True, type=click.UUID, metavar="ID", help="This letter; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Every letter: without it, some option must say which.")
@click.option("--again", is_flag=True, help="Also those that were replayed before, or have failed again.")
@click.option("--to", type=EVENT_TYPE, metavar="TYPE", help="As events of TYPE, whatever address their headers name.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N letters a second.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be published.")
@click.option("--yes", is_flag=True, help="Do not ask.")
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

    Do it when the cause is mended. It says first how many would be refused again. A letter that is stored now counts
    once, however often it is published; one that fails again comes back with one attempt more, and only --again
    publishes it once more. Letters that came with another address than their type's are left out, unless --to names
    the type.

    \b
    Examples:
      gcc-ingest dead-letters replay --type order_log --reason refused_by_table --dry-run
      gcc-ingest dead-letters replay --since 2026-11-24 --rate 500
    """
    if not dry_run:
        _refuse_what_nobody_has_chosen(selection, everything, yes)
    with exit_on_error():
        settings = Settings()
        logs.configure(settings.log_format)
        plan = asyncio.run(_plan(settings, selection, again, EVENT_TYPES[to] if to else None))
        click.echo("\n".join(plan.told()), err=True)
        if dry_run:
            click.echo("\n".join(described(plan.groups, plan.forecasts)))
        elif plan.count and (yes or click.confirm("Publish them?", err=True)):
            _replay(settings, plan, rate)


def _refuse_what_nobody_has_chosen(selection: Selection, everything: bool, yes: bool) -> None:
    if selection == Selection() and not everything:
        raise click.UsageError("say which letters: --type, --reason, --since, --until or --id; --all is every one")
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked, because stdin is no terminal: say --yes to publish, or --dry-run")


@dataclass(frozen=True)
class Plan:
    """What a replay is going to publish."""

    selection: Selection
    to: EventType | None
    """The event type that all are published as, if not each as its own."""
    groups: Sequence[DeadLetterCount]
    replayed: int
    """Left out, because they were published again already."""
    failed_again: int
    """Left out, because it did not help."""
    forecasts: Forecasts

    @property
    def count(self) -> int:
        """Letters to publish."""
        return sum(group.letters for group in self.groups) - self.forecasts.total().elsewhere

    def told(self) -> Iterator[str]:
        """In a few lines."""
        left_out = (
            f"; left out: {self.replayed} replayed already, {self.failed_again} failed again (--again takes them too)"
            if self.replayed or self.failed_again
            else ""
        )
        yield f"{self.count} letters to publish again{f' as {self.to.name}' if self.to else ''}{left_out}"
        found = self.forecasts.total()
        if found.elsewhere:
            yield (
                f"{found.elsewhere} more are refused: their headers name another address than {EXCHANGE} with the "
                "routing key of their type (--to TYPE publishes them as events of TYPE)"
            )
        if found.refused:
            reasons = ", ".join(f"{reason} {count}" for reason, count in found.refused.most_common())
            yield f"{found.refused.total()} of them would be refused again: {reasons}"
        if found.not_known:
            yield f"of {found.not_known} it is not known: their table refused them, and only the table can tell"


async def _plan(settings: Settings, chosen: Selection, again: bool, to: EventType | None) -> Plan:
    async with letter_table(settings) as table:
        states = tuple(State) if again else (State.WAITING,)
        now = await table.now()  # what comes back meanwhile is not published a second time
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
