"""gcc-ingest dead-letters: what was archived, looked at and published again."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ingest_service import clickhouse, logs
from ingest_service.commands.moment import moment
from ingest_service.commands.outcome import told
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.letters.letter import UNKNOWN_TIME
from ingest_service.letters.replay import Replay
from ingest_service.letters.table import Group, Kept, LetterTable, NoSuchLetter, Selection, State
from ingest_service.settings import Settings

_QUERY_SECONDS = 120
_NARROWEST = 180  # columns of a list that is not read on a terminal

_Command = Callable[..., None]


def _filters(command: _Command) -> _Command:
    """The options that say which letters."""
    for option in (
        click.option("--until", type=moment, metavar="TIME", help="Rejected last before then."),
        click.option("--since", type=moment, metavar="TIME", help="Rejected last then or later; 2h and 7d are ago."),
        click.option("--reason", "reasons", multiple=True, help="With this x-gcc-reason; may be repeated."),
        click.option(
            "--type",
            "types",
            multiple=True,
            type=click.Choice(sorted(EVENT_TYPES)),
            metavar="TYPE",
            help="Of this event type; may be repeated.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def dead_letters() -> None:
    """Look at archived dead letters, and publish them again.

    They are there once `gcc-ingest archive` has taken them out of the error queues.
    """


@dead_letters.command("list")
@_filters
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
def list_(
    types: tuple[str, ...], reasons: tuple[str, ...], since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """Count dead letters by type and reason, and how they stand.

    waiting: nothing was done about them. replayed: published again, and not come back. failed again: published again,
    and come back. `newest` is the id of the one that was rejected last, for `show`.

    \b
    Examples:
      gcc-ingest dead-letters list --since 24h
      gcc-ingest dead-letters list --type post_log --json
    """
    selection = Selection(event_types=types, reasons=reasons, since=since, until=until)
    with told():
        groups = asyncio.run(_groups(Settings(), selection))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(groups), indent=2))
    else:
        _print(groups)


@dead_letters.command()
@click.argument("letter", metavar="ID", type=click.UUID)
@click.option("--body", "only_body", is_flag=True, help="The body alone, byte for byte.")
def show(letter: UUID, only_body: bool) -> None:
    """Print one dead letter whole.

    \b
    Examples:
      gcc-ingest dead-letters show 7d0a1c5e-...
      gcc-ingest dead-letters show 7d0a1c5e-... --body | jq -c .store=1 | gcc-ingest publish order_log -
    """
    with told():
        kept = asyncio.run(_one(Settings(), letter))
    if only_body:
        sys.stdout.buffer.write(kept.body)
    else:
        click.echo(_whole(kept))


@dead_letters.command()
@_filters
@click.option("--id", "ids", multiple=True, type=click.UUID, metavar="ID", help="This letter; may be repeated.")
@click.option("--again", is_flag=True, help="Also those that were replayed before, or have failed again.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N letters a second.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be published.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(
    types: tuple[str, ...],
    reasons: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    ids: tuple[UUID, ...],
    again: bool,
    rate: float | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Publish dead letters again, to the exchange and routing key they came with.

    Do it when the cause is mended. A letter that is stored now counts once, however often it is published; one that
    fails again comes back with one attempt more, and only --again publishes it once more.

    \b
    Examples:
      gcc-ingest dead-letters replay --type order_log --reason refused_by_table --dry-run
      gcc-ingest dead-letters replay --since 2026-11-24 --rate 500
    """
    names = tuple(map(str, ids))
    everything = Selection(event_types=types, reasons=reasons, since=since, until=until, ids=names)
    with told():
        settings = Settings()
        logs.configure(settings.log_format)
        plan = asyncio.run(_plan(settings, everything, again))
        click.echo(plan.told(), err=True)
        if dry_run:
            _print(plan.groups)
        elif plan.count and (yes or not sys.stdin.isatty() or click.confirm("Publish them?", err=True)):
            _replay(settings, plan, rate)


@dataclass(frozen=True)
class Plan:
    """What a replay is going to publish."""

    selection: Selection
    groups: Sequence[Group]
    count: int
    replayed: int
    """Left out, because they were published again already."""
    failed_again: int
    """Left out, because it did not help."""

    def told(self) -> str:
        """In a sentence or two."""
        text = f"{self.count} letters to publish again"
        if self.replayed or self.failed_again:
            text += (
                f"; left out: {self.replayed} replayed already, {self.failed_again} failed again"
                " (--again takes them too)"
            )
        return text


async def _plan(settings: Settings, everything: Selection, again: bool) -> Plan:
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        table = LetterTable(server)
        states = tuple(State) if again else (State.WAITING,)
        now = await table.now()  # what comes back meanwhile is not published a second time
        selection = msgspec.structs.replace(everything, states=states, archived_until=now)
        chosen, found = await table.groups(selection), await table.groups(everything)
    return Plan(
        selection,
        chosen,
        sum(group.letters for group in chosen),
        0 if again else sum(group.replayed for group in found),
        0 if again else sum(group.failed_again for group in found),
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
            asyncio.run(_publish(settings, plan.selection, rate, recorded))
        finally:
            progress.stop()
            click.echo(f"{count} letters published again and confirmed")


async def _publish(
    settings: Settings, selection: Selection, rate: float | None, recorded: Callable[[int], None]
) -> None:
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        await Replay(settings.amqp(), LetterTable(server), rate).run(selection, recorded)


async def _groups(settings: Settings, selection: Selection) -> list[Group]:
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        return await LetterTable(server).groups(selection)


async def _one(settings: Settings, letter: UUID) -> Kept:
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        async for (kept,) in LetterTable(server).pages(Selection(ids=(str(letter),)), 1):
            return kept
    raise NoSuchLetter(
        f"there is no archived dead letter {letter}: gcc-ingest dead-letters list shows some; "
        "gcc-ingest archive --once archives what is in the error queues"
    )


def _print(groups: Sequence[Group]) -> None:
    if not groups:
        click.echo("no dead letters")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("type", "reason"):
        table.add_column(heading, overflow="fold")
    for heading in ("letters", "waiting", "replayed", "failed again"):
        table.add_column(heading, justify="right")
    for heading in ("first", "last", "newest"):
        table.add_column(heading, no_wrap=True)
    for group in groups:
        counts = (group.letters, group.waiting, group.replayed, group.failed_again)
        times = (_time(group.first_rejected_at), _time(group.last_rejected_at))
        table.add_row(group.event_type, group.reason, *map(str, counts), *times, str(group.newest))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, _NARROWEST)
    console.print(table)


def _whole(kept: Kept) -> str:
    fields = {
        "letter": kept.letter_id,
        "type": kept.event_type,
        "reason": kept.reason,
        "detail": kept.detail,
        "state": kept.state.replace("_", " "),
        "attempts": kept.attempts,
        "first rejected": _time(kept.first_rejected_at),
        "last rejected": _time(kept.last_rejected_at),
        "replays": f"{kept.replays}, last {_time(kept.last_replayed_at)}" if kept.replays else 0,
        "came with": f"exchange {kept.original_exchange}, routing key {kept.original_routing_key}",
        "archived": f"{_time(kept.archived_at)} in {kept.archive_file}",
        "headers": kept.headers,
    }
    lines = [f"{click.style(f'{name:<15}', bold=True)} {value}" for name, value in fields.items()]
    return "\n".join([*lines, "", kept.body.decode(errors="backslashreplace")])


def _time(moment: datetime) -> str:
    return "unknown" if moment == UNKNOWN_TIME else f"{moment:%Y-%m-%d %H:%M:%S}Z"
