"""Runs `dbt build` inside a Dagster run: its environment, its failures and its files."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging import version

from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.resources.dbt_examples import Rows, with_examples
from gcc_platform.resources.dbt_project import DBT, dbt_project, output_environment
from gcc_platform.settings import Settings

_PARSED = "partial_parse.msgpack"
_KEPT_TARGETS = 10
"""The number of runs whose compiled SQL and logs are kept below target/, to investigate failures."""

_OUTPUTS_PER_COUNT = 8
"""The models whose rows one query counts."""

# Unit tests test the SQL, not the data: they run in the test suite, not every 15 minutes. dbt's own log is of what it
# prints: at its default level, it spends a tenth of its time on writing it.
_BUILD = ["--log-level-file", "info", "build", "--exclude-resource-type", "unit_test"]


class Dbt(DbtCliResource):
    """dbt's command line for one project."""

    @cached_property
    def _cli_version(self) -> version.Version:
        """The installed version. `dbt --version`, which dagster-dbt runs, would take three seconds of every run."""
        return version.parse(installed_version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """Initialize no adapter: it takes seconds, and only dagster-dbt's fetch_...() calls use it."""


def dbt_resource(name: str) -> Dbt:
    """dbt for the project `warehouse` or `serving`."""
    # dagster-dbt accepts a DbtProject, which its type annotations omit.
    return Dbt(project_dir=dbt_project(name), dbt_executable=str(DBT))  # type: ignore[arg-type]


RowCounts = Callable[[Sequence[dg.AssetKey]], Mapping[dg.AssetKey, int]]
"""Returns the row counts of those assets that are tables."""


def build(
    context: dg.AssetExecutionContext,
    project: str,
    dbt: Dbt,
    row_counts: RowCounts,
    rows: Rows,
    failed: Callable[[str], None],
) -> Iterator[Any]:
    """Build the run's selection of a project and yield Dagster's events, with row counts and examples of failing rows.

    The events come while dbt runs, those of failed tests at its end. `failed` is called with the reasons if a model
    could not be built, after the events of those that were. Raises MissingUrl and BadUrl, and dg.Failure if dbt did
    nothing. dbt does not outlive the caller's interest: closing the iterator, or an error, terminates it.
    """
    with _variables(dbt_environment(Settings()) | output_environment(project)):
        invocation = dbt.cli(_BUILD, context=context, raise_on_error=False)
    try:
        yield from _with_row_counts(with_examples(invocation.stream(), invocation, rows), context, row_counts)
    finally:
        _terminate(invocation)
    _keep_parsed(invocation.target_path)
    _prune(invocation.target_path.parent)
    if broken := _failures(invocation):
        failed("dbt failed at " + "\n".join(broken))


def build_all(project: str, dbt: Dbt) -> None:
    """Build a whole project, whose results are not Dagster's. Raises MissingUrl, BadUrl, and dg.Failure if it fails."""
    with _variables(dbt_environment(Settings()) | output_environment(project)):
        invocation = dbt.cli(_BUILD, raise_on_error=False)
        invocation.wait()
    _keep_parsed(invocation.target_path)
    _prune(invocation.target_path.parent)
    if broken := _failures(invocation):
        raise dg.Failure("dbt failed at " + "\n".join(broken), allow_retries=False)


def _with_row_counts(events: Iterable[Any], context: dg.AssetExecutionContext, row_counts: RowCounts) -> Iterator[Any]:
    """The events, of which the outputs have row counts. Few outputs wait for others: dbt runs while Dagster stores.

    None waits for longer than the next result of a test: Dagster takes a result that comes before its asset's output
    for one of the asset's last version.
    """
    waiting: list[dg.Output[Any]] = []
    for event in events:
        if isinstance(event, dg.Output):
            waiting.append(event)
            if len(waiting) < _OUTPUTS_PER_COUNT:
                continue
        yield from _counted(waiting, context, row_counts)
        waiting = []
        if not isinstance(event, dg.Output):
            yield event
    yield from _counted(waiting, context, row_counts)


def _counted(
    outputs: Sequence[dg.Output[Any]], context: dg.AssetExecutionContext, row_counts: RowCounts
) -> Iterator[dg.Output[Any]]:
    keys = [context.asset_key_for_output(output.output_name) for output in outputs]
    counts = row_counts(keys) if keys else {}
    for key, output in zip(keys, outputs, strict=True):
        metadata = {"dagster/row_count": counts[key]} if key in counts else {}
        yield output.with_metadata({**output.metadata, **metadata})


def _terminate(invocation: DbtCliInvocation) -> None:
    """End dbt if it still runs. It aborts its queries, and gets time for that."""
    process = invocation.process
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(invocation.termination_timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()


def _failures(invocation: DbtCliInvocation) -> list[str]:
    """The models that could not be built, and the tests not run, with reasons. A test that fails is a check's result.

    Raises dg.Failure if dbt wrote no results. Not retried: the same SQL on the same data fails again.
    """
    try:
        results = invocation.get_artifact("run_results.json")["results"]
    except FileNotFoundError:
        error = str(invocation.get_error() or "dbt gave no reason")
        raise dg.Failure(f"dbt built nothing: {error}", allow_retries=False) from None
    return [f"{result['unique_id']}: {result['message']}" for result in results if result["status"] == "error"]


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set os.environ while dbt runs: dagster-dbt reads profiles.yml in this process as well."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _keep_parsed(target: Path) -> None:
    """Keep the parser's state for the next run. `dbt parse` has another profile, so its state would be discarded."""
    parsed = target / _PARSED
    if parsed.exists():
        parsed.replace(target.parent / _PARSED)


def _prune(targets: Path) -> None:
    """Delete all but the newest runs' folders in target/."""
    runs = sorted(targets.glob("*-*-*/"), key=lambda folder: folder.stat().st_mtime)
    for folder in runs[:-_KEPT_TARGETS]:
        shutil.rmtree(folder, ignore_errors=True)
