"""gcc-platform migration check and repair: whether both sides have the same rows, and bringing what is missing."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from gcc_platform.commands.migration.servers import TABLES, Servers, with_servers
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import rows, totals
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.totals import Mismatch, Total
from ingest_service.commands.errors import exit_on_error

_SHOWN = 10


@click.command()
@TABLES
@click.option("--level", type=click.Choice(["totals", "rows"]), help="Only this one; by default both.")
@click.option("--deep", is_flag=True, help="Read all old rows again, to find those changed or deleted since.")
@exit_on_error()
def check(names: tuple[str, ...], level: str | None, deep: bool) -> None:
    """Compare the old tables with their raw tables. Exits with 1 if anything differs.

    Rows: the checksum of each chunk that is done; equal ones are sealed, and PostgreSQL is not asked for them again.
    Of the others, each row that differs is noted, with its columns: see `status`, and `repair`. Totals: rows, and
    counts and sums of each metric, per day until yesterday.

    \b
    Examples:
      gcc-platform migration check
      gcc-platform migration check post_log --level totals
      gcc-platform migration check profile_log --level rows --deep
    """
    lines = with_servers(lambda servers: _check(servers, names, level, deep))
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


async def _check(servers: Servers, names: Sequence[str], level: str | None, deep: bool) -> Sequence[tuple[str, bool]]:
    lines: list[tuple[str, bool]] = []
    for table in await servers.tables(names):
        if level in (None, "rows"):
            found = await rows.check(servers.state, _sides(servers, table), deep=deep)
            lines.append((_rows_line(table, found), not found.different))
        if level in (None, "totals"):
            until = datetime.now(UTC).date()
            mismatches = await totals.compare(servers.old, servers.clickhouse, table, servers.database, until)
            lines += [(line, not mismatches) for line in _totals_lines(table, mismatches)]
    return lines


async def _repair(servers: Servers, names: Sequence[str]) -> Sequence[tuple[str, int]]:
    return [
        (table.name, await rows.repair(servers.state, _sides(servers, table))) for table in await servers.tables(names)
    ]


def _sides(servers: Servers, table: LegacyTable) -> Sides:
    return Sides(servers.old, servers.clickhouse, table, servers.database)


def _rows_line(table: LegacyTable, found: Checked) -> str:
    if not found.different:
        return f"{table.name}: {found.sealed} chunks are equal"
    return f"{table.name}: {found.sealed} chunks are equal, {found.different} differ, in {found.differences} rows"


def _totals_lines(table: LegacyTable, mismatches: Sequence[Mismatch]) -> Iterator[str]:
    if not mismatches:
        yield f"{table.name}: totals are equal"
        return
    yield f"{table.name}: {len(mismatches)} totals differ"
    for each in mismatches[:_SHOWN]:
        yield f"  {each.day} {each.metric.strip()}: PostgreSQL {_total(each.here)}, ClickHouse {_total(each.there)}"


def _total(total: Total | None) -> str:
    return "nothing" if total is None else f"{total.count}, sum {total.sum:f}"
