"""gcc-platform migration check and repair: whether both sides have the same rows, and bringing what is missing."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from gcc_platform.commands.migration.servers import TABLES, Servers, with_servers
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import daily_totals, rows
from gcc_platform.migration.parity.bisecting import UNDER_WAY, Sides
from gcc_platform.migration.parity.daily_totals import Compared
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.totals import Total
from ingest_service.commands.errors import exit_on_error
from ingest_service.publisher.spool_list import waiting

_SHOWN = 10


@dataclass(frozen=True)
class Options:
    """What is compared."""

    level: str | None
    days: int
    spools: Sequence[Path]
    deep: bool
    everything: bool


@click.command()
@TABLES
@click.option("--level", type=click.Choice(["totals", "rows"]), help="Only this one; by default both.")
@click.option("--days", default=2, show_default=True, type=click.IntRange(min=0), help="Of rows written to both sides.")
@click.option(
    "--spool",
    "spools",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Crawlers' spools: what waits there is not lost. May be repeated.",
)
@click.option("--deep", is_flag=True, help="Read all old rows again, to find those changed or deleted since.")
@click.option("--all", "everything", is_flag=True, help="Every chunk and every day, whatever is known of them.")
@exit_on_error()
def check(
    names: tuple[str, ...], level: str | None, days: int, spools: tuple[Path, ...], deep: bool, everything: bool
) -> None:
    """Compare the old tables with their raw tables. Exits with 1 if anything differs.

    Rows: the checksum of each chunk that is done; equal ones are sealed, and PostgreSQL is not asked for them again.
    Of the others, each row that differs is noted, with its columns: see `status`, and `repair`. Rows that a crawler
    wrote to both sides are compared for the last days, one by one, and each difference is noted with its cause. Totals:
    rows, and counts and sums of each metric, per day until yesterday.

    A call costs what is new. Of the sealed chunks, and of the days that were equal and to which nothing has happened,
    ClickHouse is asked for a seventh each time. --deep reads a table again if PostgreSQL has counted changed or deleted
    rows since it was read last. --all looks at everything.

    \b
    Examples:
      gcc-platform migration check
      gcc-platform migration check post_log --level totals
      gcc-platform migration check profile_log --level rows --deep
      gcc-platform migration check --deep --all
      gcc-platform migration check --days 7 --spool /var/lib/crawler/spool
    """
    options = Options(level, days, spools, deep, everything)
    lines = with_servers(lambda servers: _check(servers, names, options))
    for line, _ in lines:
        click.echo(line)
    sys.exit(0 if all(passed for _, passed in lines) else 1)


@click.command()
@TABLES
@exit_on_error()
def repair(names: tuple[str, ...]) -> None:
    """Bring the rows that `check` found only in PostgreSQL, each under its own event_id.

    If its event comes late after all, both collapse into one row. Repeat `check` afterwards.

    \b
    Examples:
      gcc-platform migration repair
      gcc-platform migration repair post_log
    """
    for table, count in with_servers(lambda servers: _repair(servers, names)):
        click.echo(f"{table}: {count} rows sent from PostgreSQL")


async def _check(servers: Servers, names: Sequence[str], options: Options) -> Sequence[tuple[str, bool]]:
    """Lines to print, each with whether it reports no difference."""
    spooled = [each.event_id for directory in options.spools for each in waiting(directory)]
    today = datetime.now(UTC).date()
    lines: list[tuple[str, bool]] = []
    for table in await servers.tables(names):
        sides = Sides(servers.old, servers.clickhouse, table, servers.database)
        if options.level in (None, "rows"):
            found = await rows.check(servers.state, sides, deep=options.deep, everything=options.everything)
            lines.append((_rows_line(table, found), not found.different))
            for ago in range(options.days if await has_event_id(servers.old, table) else 0):
                day = today - timedelta(days=ago)
                lines += _day_lines(table, day, await rows.check_day(servers.state, sides, day, spooled))
        if options.level in (None, "totals"):
            compared = await daily_totals.compare(servers.state, sides, today, every_day=options.everything)
            lines += [(line, not compared.mismatches) for line in _totals_lines(table, compared)]
    return lines


async def _repair(servers: Servers, names: Sequence[str]) -> Sequence[tuple[str, int]]:
    return [
        (table.name, await rows.repair(servers.state, Sides(servers.old, servers.clickhouse, table, servers.database)))
        for table in await servers.tables(names)
    ]


def _rows_line(table: LegacyTable, found: Checked) -> str:
    if not found.different:
        return f"{table.name}: {found.sealed} chunks are equal"
    return f"{table.name}: {found.sealed} chunks are equal, {found.different} differ, in {found.differences} rows"


def _day_lines(table: LegacyTable, day: date, found: Day) -> Iterator[tuple[str, bool]]:
    if not found.rows and not found.differences:
        return
    causes = Counter(f"{each.kind}: {each.cause}" for each in found.differences)
    is_open = any(each.cause != UNDER_WAY for each in found.differences)
    yield f"{table.name} {day}: {found.rows} rows written to both sides, {len(found.differences)} differ", not is_open
    for cause, count in sorted(causes.items()):
        yield f"  {count} {cause}", not is_open


def _totals_lines(table: LegacyTable, found: Compared) -> Iterator[str]:
    of_days = "" if found.days is None else f" of {found.days} days that had moved"
    if not found.mismatches:
        yield f"{table.name}: totals{of_days} are equal"
        return
    yield f"{table.name}: {len(found.mismatches)} totals{of_days} differ"
    for each in found.mismatches[:_SHOWN]:
        yield f"  {each.day} {each.metric.strip()}: PostgreSQL {_total(each.here)}, ClickHouse {_total(each.there)}"


def _total(total: Total | None) -> str:
    return "nothing" if total is None else f"{total.count}, sum {total.sum:f}"
