"""gcc-platform migration check and repair: whether both sides have the same rows, and bringing what is missing."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from gcc_platform.commands.migration.servers import TABLES, TABLES_AND_SERIES, Servers, with_servers
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import rows, series, totals
from gcc_platform.migration.parity.bisecting import UNDER_WAY, Sides
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.totals import Mismatch, Total
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


@click.command()
@TABLES_AND_SERIES
@click.option("--level", type=click.Choice(["totals", "rows"]), help="Only this one; by default both.")
@click.option(
    "--days",
    default=2,
    show_default=True,
    type=click.IntRange(min=0),
    help="Of rows written to both sides, and of series.",
)
@click.option(
    "--spool",
    "spools",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Crawlers' spools: what waits there is not lost. May be repeated.",
)
@click.option("--deep", is_flag=True, help="Read all old rows again, to find those changed or deleted since.")
@exit_on_error()
def check(names: tuple[str, ...], level: str | None, days: int, spools: tuple[Path, ...], deep: bool) -> None:
    """Compare the old tables with their raw tables. Exits with 1 if anything differs.

    Rows: the checksum of each chunk that is done; equal ones are sealed, and PostgreSQL is not asked for them again.
    Of the others, each row that differs is noted, with its columns: see `status`, and `repair`. Rows that a crawler
    wrote to both sides are compared for the last days, one by one, and each difference is noted with its cause. For the
    same days, Instagram rows of profile_log and post_log are compared with those of insta_account_ts and insta_post_ts,
    where there are such tables. Totals: rows, and counts and sums of each metric, per day until yesterday.

    \b
    Examples:
      gcc-platform migration check
      gcc-platform migration check post_log --level totals
      gcc-platform migration check profile_log --level rows --deep
      gcc-platform migration check --days 7 --spool /var/lib/crawler/spool
    """
    options = Options(level, days, spools, deep)
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
    logs, series_tables = await servers.tables_and_series(names)
    for table in series_tables if options.level in (None, "rows") else ():
        found = await rows.check_series(servers.state, Sides(servers.old, servers.clickhouse, table, servers.database))
        again = ": gcc-platform migration backfill brings them again" if found.different else ""
        lines.append((f"{_rows_line(table, found)}{again}", not found.different))
    for table in logs:
        sides = Sides(servers.old, servers.clickhouse, table, servers.database)
        if options.level in (None, "rows"):
            found = await rows.check(servers.state, sides, deep=options.deep)
            lines.append((_rows_line(table, found), not found.different))
            lines += await _series_lines(servers, table, today, options.days)
            for ago in range(options.days if await has_event_id(servers.old, table) else 0):
                day = today - timedelta(days=ago)
                lines += _day_lines(table, day, await rows.check_day(servers.state, sides, day, spooled))
        if options.level in (None, "totals"):
            mismatches = await totals.compare(servers.old, servers.clickhouse, table, servers.database, today)
            lines += [(line, not mismatches) for line in _totals_lines(table, mismatches)]
    return lines


async def _repair(servers: Servers, names: Sequence[str]) -> Sequence[tuple[str, int]]:
    return [
        (table.name, await rows.repair(servers.state, Sides(servers.old, servers.clickhouse, table, servers.database)))
        for table in await servers.tables(names)
    ]


async def _series_lines(servers: Servers, table: LegacyTable, today: date, days: int) -> Sequence[tuple[str, bool]]:
    first, until = today - timedelta(days=max(0, days - 1)), today + timedelta(days=min(1, days))
    found = await series.compare(servers.old, table, servers.database, first, until)
    if found is None or not (found.log_rows or found.series_rows):
        return ()
    line = f"{table.name} and {found.series} since {first}: {found.log_rows} and {found.series_rows} rows"
    if found.agrees:
        return [(f"{line}, each with its counterpart", True)]
    return [(f"{line}, {found.only_in_log} only in {table.name}, {found.only_in_series} only in {found.series}", False)]


def _rows_line(table: LegacyTable, found: Checked) -> str:
    if not found.different:
        return f"{table.name}: {found.sealed} chunks are equal"
    rows_ = f", in {found.differences} rows" if found.differences else ""
    return f"{table.name}: {found.sealed} chunks are equal, {found.different} differ{rows_}"


def _day_lines(table: LegacyTable, day: date, found: Day) -> Iterator[tuple[str, bool]]:
    if not found.rows and not found.differences:
        return
    causes = Counter(f"{each.kind}: {each.cause}" for each in found.differences)
    is_open = any(each.cause != UNDER_WAY for each in found.differences)
    yield f"{table.name} {day}: {found.rows} rows written to both sides, {len(found.differences)} differ", not is_open
    for cause, count in sorted(causes.items()):
        yield f"  {count} {cause}", not is_open


def _totals_lines(table: LegacyTable, mismatches: Sequence[Mismatch]) -> Iterator[str]:
    if not mismatches:
        yield f"{table.name}: totals are equal"
        return
    yield f"{table.name}: {len(mismatches)} totals differ"
    for each in mismatches[:_SHOWN]:
        yield f"  {each.day} {each.metric.strip()}: PostgreSQL {_total(each.here)}, ClickHouse {_total(each.there)}"


def _total(total: Total | None) -> str:
    return "nothing" if total is None else f"{total.count}, sum {total.sum:f}"
