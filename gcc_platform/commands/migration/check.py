"""gcc-platform migration check and repair: whether both sides have the same rows, and bringing what is missing."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from gcc_platform.commands.migration.check_marts import check_marts
from gcc_platform.commands.migration.servers import TABLES, TABLES_AND_SERIES, with_servers
from gcc_platform.migration import rejected
from gcc_platform.migration.checking import Options, TableCheck, check_series, check_table
from gcc_platform.migration.parity import differences, rows
from gcc_platform.migration.parity.daily_totals import Compared
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.series import Witness
from gcc_platform.migration.parity.totals import Total
from gcc_platform.migration.series_tables import SERIES_TABLES
from gcc_platform.migration.servers import Servers
from ingest_service.commands.errors import exit_on_error
from ingest_service.publisher.spool_list import waiting

_SHOWN = 10


@click.command()
@TABLES_AND_SERIES
@click.option(
    "--level", type=click.Choice(["totals", "rows", "marts"]), help="Only this one; by default totals and rows."
)
@click.option(
    "--until", type=click.DateTime(), help="Of marts: where both sides are cut, by UTC.  [default: an hour ago]"
)
@click.option(
    "--mart-days", type=click.IntRange(min=0), help="Of marts: days before that.  [default: GCC_MIGRATION_MART_DAYS]"
)
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
@click.option("--all", "everything", is_flag=True, help="Every chunk and every day, whatever is known of them.")
@exit_on_error()
def check(
    names: tuple[str, ...],
    level: str | None,
    until: datetime | None,
    mart_days: int | None,
    days: int,
    spools: tuple[Path, ...],
    deep: bool,
    everything: bool,
) -> None:
    """Compare the old tables with their raw tables. Exits with 1 if anything differs.

    Rows: the checksum of each chunk that is done; equal ones are sealed, and PostgreSQL is not asked for them again.
    Of the others, each row that differs is noted, with its columns: see `status`, and `repair`. Rows that a crawler
    wrote to both sides are compared for the last days, one by one, and each difference is noted with its cause. For the
    same days, Instagram rows of profile_log and post_log are compared with those of insta_account_ts and insta_post_ts,
    where there are such tables. Totals: rows, and counts and sums of each metric, per day until yesterday. Marts: built
    from rows and events by the same models, and compared cell by cell.

    A call costs what is new. Of the sealed chunks, and of the days that were equal and to which nothing has happened,
    ClickHouse is asked for a seventh each time. --deep reads a table again if PostgreSQL has counted changed or deleted
    rows since it was read last. --all looks at everything.

    \b
    Examples:
      gcc-platform migration check
      gcc-platform migration check post_log --level totals
      gcc-platform migration check profile_log --level rows --deep
      gcc-platform migration check --level marts
      gcc-platform migration check --deep --all
      gcc-platform migration check --days 7 --spool /var/lib/crawler/spool
    """
    if level == "marts":
        check_marts(names, until.replace(tzinfo=UTC) if until else None, mart_days)
    spooled = [each.event_id for directory in spools for each in waiting(directory)]
    options = Options(level in (None, "rows"), level in (None, "totals"), days, spooled, deep, everything)
    found = with_servers(lambda servers: _check(servers, names, options))
    for each in found:
        for line in _lines(each):
            click.echo(line)
    sys.exit(0 if all(each.is_equal for each in found) else 1)


@click.command()
@TABLES
@click.option(
    "--accept",
    metavar="WHAT",
    help="Leave these as they are: an event_id, an old row's id, a reason of rejected rows, or a cause as in `status`.",
)
@click.option("--because", metavar="TEXT", help="Why they are accepted. Required with --accept.")
@exit_on_error()
def repair(names: tuple[str, ...], accept: str | None, because: str | None) -> None:
    """Bring the rows that `check` found only in PostgreSQL, each under its own event_id.

    If its event comes late after all, both collapse into one row. Repeat `check` afterwards. What is not to be repaired
    is accepted, with a reason: rejected rows, and differences that are wanted.

    \b
    Examples:
      gcc-platform migration repair
      gcc-platform migration repair post_log --accept missing_field --because "rows of a test crawler"
      gcc-platform migration repair post_log --accept "only in ClickHouse" --because "deleted by retention"
    """
    if bool(accept) != bool(because):
        raise click.UsageError("--accept and --because belong together")
    if accept and because:
        for table, count in with_servers(lambda servers: _accept(servers, names, accept, because)):
            click.echo(f"{table}: {count} accepted")
        return
    for table, count in with_servers(lambda servers: _repair(servers, names)):
        if count or names:
            click.echo(f"{table}: {count} rows sent from PostgreSQL")


async def _check(servers: Servers, names: Sequence[str], options: Options) -> Sequence[TableCheck]:
    logs, series_tables = await servers.tables_and_series(names)
    series = [await check_series(servers, table) for table in series_tables if options.rows]
    return [*series, *[await check_table(servers, table, options) for table in logs]]


async def _accept(servers: Servers, names: Sequence[str], what: str, because: str) -> Sequence[tuple[str, int]]:
    return [
        (
            table.name,
            await differences.accept(servers.state, table, what, because)
            + await rejected.accept(servers.state, table, what, because),
        )
        for table in await servers.tables(names)
    ]


async def _repair(servers: Servers, names: Sequence[str]) -> Sequence[tuple[str, int]]:
    return [
        (table.name, await rows.repair(servers.state, servers.sides(table))) for table in await servers.tables(names)
    ]


def _lines(found: TableCheck) -> Iterator[str]:
    if found.chunks:
        yield _rows_line(found.table, found.chunks)
    if found.witness:
        yield from _witness_lines(found.table, found.witness)
    for day, each in found.days.items():
        yield from _day_lines(found.table, day, each)
    if found.totals is not None:
        yield from _totals_lines(found.table, found.totals)


def _witness_lines(table: str, found: Witness) -> Iterator[str]:
    if not found.series_rows:
        return
    line = f"{table} and {found.series}: {found.log_rows} and {found.series_rows} rows of these days"
    if found.agrees:
        yield f"{line}, each with its counterpart"
    else:
        yield f"{line}, {found.only_in_log} only in {table}, {found.only_in_series} only in {found.series}"


def _rows_line(table: str, found: Checked) -> str:
    if not found.different:
        return f"{table}: {found.sealed} chunks are equal"
    again = ": gcc-platform migration backfill brings them again" if table in SERIES_TABLES else ""
    rows_ = f", in {found.differences} rows" if found.differences else ""
    return f"{table}: {found.sealed} chunks are equal, {found.different} differ{rows_}{again}"


def _day_lines(table: str, day: date, found: Day) -> Iterator[str]:
    if not found.rows and not found.differences:
        return
    causes = Counter(f"{each.kind}: {each.cause}" for each in found.differences)
    yield f"{table} {day}: {found.rows} rows written to both sides, {len(found.differences)} differ"
    for cause, count in sorted(causes.items()):
        yield f"  {count} {cause}"


def _totals_lines(table: str, found: Compared) -> Iterator[str]:
    of_days = "" if found.days is None else f" of {found.days} days that had moved"
    if not found.mismatches:
        yield f"{table}: totals{of_days} are equal"
        return
    yield f"{table}: {len(found.mismatches)} totals{of_days} differ"
    for each in found.mismatches[:_SHOWN]:
        yield f"  {each.day} {each.metric.strip()}: PostgreSQL {_total(each.here)}, ClickHouse {_total(each.there)}"


def _total(total: Total | None) -> str:
    return "nothing" if total is None else f"{total.count}, sum {total.sum:f}"
