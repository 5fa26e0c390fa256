"""gcc-platform migration demo: a rehearsal that anyone can run."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gcc_platform.commands.migration.demo.crawlers import Crawlers
from gcc_platform.commands.migration.demo.proof import Proof
from gcc_platform.commands.migration.demo.rehearsal import Rehearsal
from gcc_platform.commands.migration.demo.stage import Stage, stage
from gcc_platform.migration import legacy_database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.rehearsal.old_rows import SERIES, create_tables, fill
from ingest_service.commands.errors import exit_on_error

_FEW = 200
"""Rows of the tables that the rehearsal does not take through the phases."""


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(min=1000), help="Old rows per table.")
@click.option("--years", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="That they span.")
@click.option("--rate", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Visits a second, each.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Keep the data here. Default: nowhere.")
@exit_on_error()
def demo(rows: int, years: float, rate: float, directory: Path | None) -> None:
    """Rehearse a migration: a company with years of rows and three crawlers moves over, and back, on private servers.

    Every command that is printed is run. The servers are the rehearsal's own, on free loopback ports, and are stopped
    at the end; nothing of yours is used. It takes some minutes.

    \b
    Examples:
      gcc-platform migration demo
      gcc-platform migration demo --rows 1000000 --dir /tmp/rehearsal
    """
    with _folder(directory) as folder, stage(folder, _report) as running:
        _fill(running, rows, years)
        rehearsal = Rehearsal(running, Crawlers(running, rate))
        rehearsal.play()
        proofs = rehearsal.proofs()
        for each in proofs:
            click.echo(_line(each))
    sys.exit(1 if any(each.wrong for each in proofs) else 0)


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """The given folder, or one that is removed at the end."""
    if directory:
        yield directory.absolute()
        return
    # Not tempfile.TemporaryDirectory: servers may still write a last file while it is removed.
    temporary = Path(tempfile.mkdtemp(prefix="gcc-migration-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(running: Stage, rows: int, years: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        asyncio.run(_fill_all(running.environment["GCC_LEGACY_URL"], rows, years, progress))
    _report(f"the company has {rows} rows of {years:g} years in profile_log, and as many in post_log")


async def _fill_all(url: str, rows: int, years: float, progress: Progress) -> None:
    until = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
    async with legacy_database.writing(url) as old:
        await create_tables(old)
        for table in LEGACY_TABLES:
            count = rows if table in ("profile_log", "post_log") else _FEW
            bar = progress.add_task(table, total=count)
            await fill(old, table, count, years, until, progress=partial(_show, progress, bar))
        for table in SERIES:
            await old.execute(f"DROP TABLE {table}".encode())  # the rehearsal's crawlers write none


def _show(progress: Progress, bar: TaskID, done: int) -> None:
    progress.update(bar, completed=done)


def _report(message: str) -> None:
    click.echo(message, err=True)


def _line(proof: Proof) -> str:
    verdict = "each is once on both sides" if not proof.wrong else f"{proof.wrong} crawlers' snapshots are not"
    return (
        f"{proof.table}: the crawlers have committed {proof.committed} snapshots; PostgreSQL has {proof.rows} of them, "
        f"ClickHouse {proof.events}: {verdict}"
    )
