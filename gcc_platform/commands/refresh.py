"""`gcc-platform refresh`: runs the 15-minute job once, in this process."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import click
import dagster as dg

from gcc_platform.dagster_home import dagster_home
from gcc_platform.defs import runs
from gcc_platform.settings import Settings
from ingest_service.commands.errors import exit_on_error
from ingest_service.errors import UserError

# Dagster's own log repeats every event with its stack trace; this command prints one line per failure.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class AlreadyRunning(UserError):
    """Another refresh is under way."""

    def __init__(self, running: runs.Unfinished) -> None:
        super().__init__(
            f"the refresh that {running.started_by} started {running.ago} is still running. "
            f"Wait for it, or terminate it in Dagster: {running.path}"
        )


def refresh(settings: Settings) -> int:
    """Build and check everything, and print the results. Returns 1 if a step or a check of severity ERROR failed.

    Raises MissingUrl, BadUrl and AlreadyRunning before anything runs.
    """
    settings.urls.check()
    started = time.monotonic()
    with dg.DagsterInstance.from_config(str(dagster_home())) as instance:
        if running := runs.unfinished(instance):
            raise AlreadyRunning(running)
        result = _run(instance)
    failed_checks = 0
    for line, is_failure in _lines(result):
        click.echo(line)
        failed_checks += is_failure
    ok = result.success and not failed_checks
    click.echo(f"{'refreshed' if ok else 'FAILED'} in {time.monotonic() - started:.1f} s (run {result.run_id})")
    return 0 if ok else 1


@click.command("refresh")
@exit_on_error()
def refresh_command() -> None:
    """Build and check everything once: raw tables -> marts -> PostgreSQL. Exits with 1 on failure.

    \b
    Example:
      gcc-platform refresh
    """
    sys.exit(refresh(Settings()))


def _run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    # Imported here because it parses the dbt projects, which `gcc-platform refresh --help` should not.
    from gcc_platform.definitions import defs  # noqa: PLC0415

    # dagster-dbt repeats dbt's output line by line; dbt's own log has it too.
    with Path(os.devnull).open("w") as devnull, redirect_stdout(devnull):
        return defs.resolve_job_def("refresh").execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config=_QUIET,
            tags={runs.STARTED_BY: "gcc-platform refresh", runs.PROCESS: runs.this_process()},
        )


def _lines(result: dg.ExecuteInProcessResult) -> Iterator[tuple[str, bool]]:
    """The lines to print, each with whether it is a failure."""
    layer = result.job_def.asset_layer
    built = set(layer.executable_asset_keys) & set(layer.asset_graph.materializable_asset_keys)
    missing = set(built)
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key is not None:
            missing.discard(event.asset_key)
            yield _materialized(event, "built  " if event.asset_key in built else "arrived"), False
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield from _checked(event)
        elif event.is_step_failure:
            yield f"  FAILED   {event.step_key}: {_reason(event)}", True
    for key in sorted(missing):
        yield f"  skipped  {key.to_user_string()}: upstream failed", False


def _materialized(event: dg.DagsterEvent, word: str) -> str:
    rows = event.materialization.metadata.get("dagster/row_count")
    key = event.asset_key.to_user_string() if event.asset_key else ""
    return f"  {word}  {key}" + (f" ({rows.value} rows)" if rows else "")


def _checked(event: dg.DagsterEvent) -> Iterator[tuple[str, bool]]:
    """Only the checks that failed: there are many."""
    check = event.asset_check_evaluation_data
    if check.passed:
        return
    is_error = check.severity == dg.AssetCheckSeverity.ERROR
    word = "FAILED  " if is_error else "warning "
    asset = check.asset_key.to_user_string()
    yield f"  {word} {asset} {check.check_name}: {check.description or _failed_rows(check)}", is_error


def _failed_rows(check: dg.AssetCheckEvaluation) -> str:
    """The result of a dbt test, which has a number of rows and no description."""
    rows = check.metadata.get("dagster_dbt/failed_row_count")
    return f"failed rows: {rows.value}" if rows else "see its metadata"


def _reason(event: dg.DagsterEvent) -> str:
    """The innermost cause, without its stack trace."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "unknown reason"
