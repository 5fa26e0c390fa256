"""gcc-platform migration backfill: brings all old rows, chunk by chunk."""

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gcc_platform.commands.migration.servers import TABLES_AND_SERIES, with_servers
from gcc_platform.migration.backfill import Backfill, plan
from gcc_platform.migration.chunks import Chunk, Outcome
from gcc_platform.migration.copied_rows import Pace
from gcc_platform.migration.horizon import reported_once
from gcc_platform.migration.series_rows import is_log_brought
from gcc_platform.migration.servers import Servers
from gcc_platform.migration.status import TableStatus, status
from ingest_service.commands.errors import exit_on_error


@click.command()
@TABLES_AND_SERIES
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Chunks at the same time.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Read at most N rows a second.")
@exit_on_error()
def backfill(names: tuple[str, ...], workers: int, rate: float | None) -> None:
    """Bring the rows of the old tables, by default of all of them; newest first. Exits with 1 if a chunk failed.

    Plans chunks at first, up to the newest id; later rows are the tail's. Ctrl-C and kill are safe: the next call goes
    on. Failed chunks are tried again. Rows that can be no events are noted one by one: see `status`. After their logs,
    insta_account_ts and insta_post_ts: only rows whose log row was deleted before it was brought.

    \b
    Examples:
      gcc-platform migration backfill
      gcc-platform migration backfill post_log --workers 4 --rate 20000
    """
    failed = with_servers(lambda servers: _run(servers, names, workers, rate))
    for line in failed:
        click.echo(line, err=True)
    sys.exit(1 if failed else 0)


async def _run(servers: Servers, names: Sequence[str], workers: int, rate: float | None) -> Sequence[str]:
    """What is not done, as lines to print."""
    logs, series = await servers.tables_and_series(names)
    tables = [*logs, *series]
    for table in tables:
        undecided = reported_once(table.name, lambda line: click.echo(line, err=True))
        await plan(servers.old, servers.state, table, servers.settings.chunk_rows, undecided)
    before = {each.table: each for each in await status(servers.state)}
    with _progress() as progress:
        bars = {
            table.name: progress.add_task(
                table.name, total=before[table.name].chunks, completed=before[table.name].done
            )
            for table in tables
        }

        def report(chunk: Chunk, outcome: Outcome) -> None:  # noqa: ARG001
            progress.advance(bars[chunk.table])

        settings = servers.settings
        work = Backfill(settings.legacy, settings.state, servers.clickhouse, servers.database, Pace(rate), report)
        await work.run(logs, workers)
        waiting = [table for table in series if not await is_log_brought(servers.state, table)]
        await work.run([table for table in series if table not in waiting], workers)
    after = {each.table: each for each in await status(servers.state)}
    for table in tables:
        each = after[table.name]
        click.echo(
            f"{each.table}: {each.done} of {each.chunks} chunks done, {each.rows} rows, {each.rejected} rejected"
        )
    return [
        *(f"{table.name}: is brought after {table.log}, whose chunks are not all done" for table in waiting),
        *(_failure(after[table.name]) for table in tables if after[table.name].failed),
    ]


def _failure(status_: TableStatus) -> str:
    return f"{status_.table}: {status_.failed} of {status_.chunks} chunks failed: {status_.error}"


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn()
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
