"""gcc-platform sync: copies marts to PostgreSQL by hand, as a refresh does."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gcc_platform.commands.chosen_marts import both_ends, chosen
from gcc_platform.settings import Settings
from gcc_platform.sync import syncing
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.stage import row_source
from ingest_service.commands.errors import exit_on_error
from ingest_service.errors import UserError

_MEGABYTE = 1e6


@click.command()
@click.argument("marts", nargs=-1, metavar="[MART]...")
@click.option("--full", is_flag=True, help="Copy in full, whatever has changed.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why.")
@click.option(
    "--allow-fewer-rows", is_flag=True, help="Serve a mart also if more rows are gone than GCC_SYNC_MAX_FALL."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@exit_on_error()
def sync(marts: tuple[str, ...], full: bool, dry_run: bool, allow_fewer_rows: bool, as_json: bool) -> None:
    """Make PostgreSQL serve the present rows of each MART, by default of all. Exits with 1 if one failed.

    Nothing is done for a mart that has not changed; of an incremental one, only what has changed is sent. Readers
    always see a complete version. A mart that fails does not keep the others from being synced.

    \b
    Examples:
      gcc-platform sync
      gcc-platform sync --dry-run
      gcc-platform sync mart_discovery --full
    """
    settings = Settings()
    options = Options(is_full=full, is_dry=dry_run, max_fall=1.0 if allow_fewer_rows else settings.sync_max_fall)
    with both_ends(settings, "sync") as (source, target):

        def work(mart: Mart) -> Synced:
            with row_source(settings.urls.sync_stage, source, mart.name, "") as rows:
                return syncing.sync(source, target, mart, options, rows)

        results, failed = each_mart(chosen(marts), work, "" if as_json else "syncing")
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        for result in results:
            click.echo(line(result, "would be " if dry_run else ""))
    sys.exit(1 if failed else 0)


def each_mart(
    marts: Sequence[Mart], work: Callable[[Mart], Synced], title: str
) -> tuple[Sequence[Synced], Sequence[str]]:
    """The results of those that succeeded, and the names of the others, whose errors are printed."""
    results: list[Synced] = []
    failed: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (title and sys.stderr.isatty())) as progress:
        bar = progress.add_task(title, total=len(marts))
        for mart in marts:
            progress.update(bar, description=f"{title} {mart.name}")
            try:
                results.append(work(mart))
            except (UserError, psycopg.Error) as error:
                failed.append(mart.name)
                click.echo(f"{click.style('error:', fg='red')} {mart.name}: {str(error).strip()}", err=True)
            progress.advance(bar)
    return results, failed


def line(result: Synced, would: str = "") -> str:
    """The result of one mart."""
    text = f"{result.mart}: {would}{result.mode} ({result.reason}), {result.rows} rows"
    if result.inserted or result.updated or result.deleted:
        text += f", {result.inserted} inserted, {result.updated} updated, {result.deleted} deleted"
    if result.sent_bytes:
        text += f", {result.sent_bytes / _MEGABYTE:.1f} MB sent"
    if not would:
        text += f", {result.wal_bytes / _MEGABYTE:.1f} MB of WAL, {result.seconds:.2f} s"
    for column, count in result.cleaned.items():
        text += (
            f"\n  {click.style('cleaned', fg='yellow')}: {count} values of {column} had NUL, bad UTF-8 or nanoseconds"
        )
    return text + "".join(f"\n  {click.style('repaired', fg='yellow')}: {each}" for each in result.findings)


def _as_json(result: Synced) -> dict[str, object]:
    return asdict(result) | {"findings": result.findings}
