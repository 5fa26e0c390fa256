"""gcc-platform prune: deletes old history of Dagster."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click
import dagster as dg

from gcc_platform.dagster_home import dagster_home
from gcc_platform.retention.prune import Pruned
from gcc_platform.retention.prune import prune as prune_history
from gcc_platform.retention.settings import RetentionSettings
from ingest_service.commands.errors import exit_on_error


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@exit_on_error()
def prune(dry_run: bool, as_json: bool) -> None:
    """Delete old runs, events and logs of Dagster, and shrink its files. GCC_RETENTION_DAYS ... are the limits.

    The newest materialization and result of every asset and check is kept. The job `prune` does the same every day.

    \b
    Examples:
      gcc-platform prune --dry-run
      GCC_RETENTION_DAYS=3 gcc-platform prune
    """
    home = dagster_home()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        pruned = prune_history(instance, RetentionSettings(), datetime.now(UTC), home, dry_run=dry_run, report=_report)
    click.echo(json.dumps(asdict(pruned), indent=2) if as_json else _line(pruned, dry_run=dry_run))


def _line(pruned: Pruned, *, dry_run: bool) -> str:
    what = f"{pruned.runs} runs, {pruned.events} events and {pruned.dbt_folders} folders of dbt"
    if dry_run:
        return f"would delete {what}"
    return f"deleted {what}: {pruned.bytes_before / 1e6:.1f} MB became {pruned.bytes_after / 1e6:.1f} MB"


def _report(message: str) -> None:
    click.echo(message, err=True)
