"""gcc-platform parity: compares what PostgreSQL serves with the marts in ClickHouse."""

import json
import sys

import click

from gcc_platform.commands.chosen_marts import both_ends, chosen
from gcc_platform.commands.sync import each_mart
from gcc_platform.settings import Settings
from gcc_platform.sync import syncing
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.stage import row_source
from ingest_service.commands.errors import exit_on_error


@click.command()
@click.argument("marts", nargs=-1, metavar="[MART]...")
@click.option("--all", "compares_all", is_flag=True, help="Compare all rows, not only the key range that is due.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@exit_on_error()
def parity(marts: tuple[str, ...], compares_all: bool, as_json: bool) -> None:
    """Compare the rows of each MART, by default of all, by a checksum on both servers; repair what differs.

    Without --all, it compares what the next refresh would: one of 24 key ranges of each large mart, and what somebody
    has written to. Exits with 1 if anything differed, or a mart has changed since it was synced.

    \b
    Examples:
      gcc-platform parity --all
      gcc-platform parity mart_discovery --all --json
    """
    options = Options(compares_all=compares_all)
    settings = Settings()
    with both_ends(settings, "parity") as (source, target):

        def work(mart: Mart) -> Synced:
            with row_source(settings.urls.sync_stage, source, mart.name, "") as rows:
                return syncing.prove(source, target, mart, options, rows)

        results, failed = each_mart(chosen(marts), work, "" if as_json else "comparing")
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        for result in results:
            click.echo(_line(result))
    sys.exit(1 if failed or any(result.findings for result in results) else 0)


def _line(result: Synced) -> str:
    compared = result.compared
    text = f"{result.mart}: {compared.rows} of {result.rows} rows compared"
    if not result.findings:
        return f"{text}, equal"
    return text + "".join(f"\n  {click.style('repaired', fg='yellow')}: {each}" for each in result.findings)


def _as_json(result: Synced) -> dict[str, object]:
    return {
        "mart": result.mart,
        "rows": result.rows,
        "compared_rows": result.compared.rows,
        "compared_ranges": result.compared.ranges,
        "findings": result.findings,
    }
