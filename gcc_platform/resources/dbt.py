"""One `dbt build` inside a Dagster run: its environment, what it says when models fail, what it leaves on disk."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging import version

from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.resources.dbt_project import DBT, dbt_project, output_environment
from gcc_platform.settings import Settings

_PARSED = "partial_parse.msgpack"
_KEPT_TARGETS = 10
"""Runs whose compiled SQL and logs stay below target/, to look into failures."""

# Unit tests prove the SQL, not the data: they run with the tests, not every 15 minutes.
_BUILD = ["build", "--exclude-resource-type", "unit_test"]


class Dbt(DbtCliResource):
    """dbt's command line for one project."""

    @cached_property
    def _cli_version(self) -> version.Version:
        """Known from the installation: asking `dbt --version` takes three seconds of every run."""
        return version.parse(installed_version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """None: a second dbt in this process takes seconds too, and serves only dagster-dbt's fetch_...() calls."""


def dbt_resource(name: str) -> Dbt:
    """dbt for the project `warehouse` or `serving`."""
    # dagster-dbt takes the project and makes strings of it, which the types do not say.
    return Dbt(project_dir=dbt_project(name), dbt_executable=str(DBT))  # type: ignore[arg-type]


RowCounts = Callable[[Sequence[dg.AssetKey]], Mapping[dg.AssetKey, int]]
"""How many rows each of these assets has; those that are no tables are left out."""


def build(
    context: dg.AssetExecutionContext, project: str, dbt: Dbt, row_counts: RowCounts = lambda _: {}
) -> Iterator[Any]:
    """Build what the run selected of a project and yield Dagster's events of it, tables with their row counts.

    Raises MissingUrl, and dg.Failure where a model failed; the events of what did not fail come first.
    """
    with _variables(dbt_environment(Settings()) | output_environment(project)):
        invocation = dbt.cli(_BUILD, context=context, raise_on_error=False)
        events = list(invocation.stream())
    _keep_parsed(invocation.target_path)
    _prune(invocation.target_path.parent)
    outputs = {
        event.output_name: context.asset_key_for_output(event.output_name)
        for event in events
        if isinstance(event, dg.Output)
    }
    counts = row_counts(list(outputs.values()))
    for event in events:
        yield _counted(event, counts.get(outputs[event.output_name])) if isinstance(event, dg.Output) else event
    _raise_for_failures(invocation)


def _counted(output: dg.Output[Any], rows: int | None) -> dg.Output[Any]:
    return output if rows is None else output.with_metadata({**output.metadata, "dagster/row_count": rows})


def _raise_for_failures(invocation: DbtCliInvocation) -> None:
    """A failed test is a check's business; what could not be built, or tested at all, is the run's.

    Not retried: the same SQL on the same data fails again.
    """
    try:
        results = invocation.get_artifact("run_results.json")["results"]
    except FileNotFoundError:
        error = str(invocation.get_error() or "dbt ended without a word")
        raise dg.Failure(f"dbt did not get to building anything: {error}", allow_retries=False) from None
    broken = [f"{result['unique_id']}: {result['message']}" for result in results if result["status"] == "error"]
    if broken:
        raise dg.Failure("dbt failed at " + "\n".join(broken), allow_retries=False)


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """In os.environ while dbt runs: dagster-dbt reads profiles.yml in this process as well."""
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
    """Spare the next run seconds of parsing: what `dbt parse` left does not count here, for its profile was another."""
    parsed = target / _PARSED
    if parsed.exists():
        parsed.replace(target.parent / _PARSED)


def _prune(targets: Path) -> None:
    """Every run leaves a folder of its own in target/: keep the newest."""
    runs = sorted(targets.glob("*-*-*/"), key=lambda folder: folder.stat().st_mtime)
    for folder in runs[:-_KEPT_TARGETS]:
        shutil.rmtree(folder, ignore_errors=True)
