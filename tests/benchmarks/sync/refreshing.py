"""A whole `gcc-platform refresh`, and how long each part of it takes: by Dagster's history of the run."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dagster as dg
import msgspec

from tests.benchmarks.bench import Bench
from tests.benchmarks.sync.cost import Cost, measured
from tests.conftest import NAMES

PARTS = ("dbt warehouse", "syncs", "dbt serving", "the rest")
_PROGRAM = Path(sys.executable).with_name("gcc-platform")
_LATEST_SECONDS = 3600


class Refreshed(msgspec.Struct, frozen=True):
    """One refresh."""

    cost: Cost
    parts: dict[str, float]
    """Seconds. The rest is the start of the process, the raw tables, and checks between the steps."""
    modes: dict[str, int]
    """How many marts were synced in which way."""


def refresh(bench: Bench) -> Refreshed:
    """Refresh once, as an operator does."""
    home = bench.folder / "dagster_home"
    outside = {name: value for name, value in os.environ.items() if name not in NAMES}
    with measured(bench) as result:
        done = subprocess.run(
            [_PROGRAM, "refresh"],
            cwd=bench.folder,
            env={**outside, **bench.environment, "DAGSTER_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=_LATEST_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the refresh failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [run] = instance.get_runs(limit=1)
        parts = _parts(instance, run.run_id, result.cost.seconds)
        return Refreshed(result.cost, parts, _modes(instance, run.run_id))


def _parts(instance: dg.DagsterInstance, run_id: str, whole: float) -> dict[str, float]:
    seconds = dict.fromkeys(PARTS, 0.0)
    for step in instance.get_run_step_stats(run_id):
        if step.start_time is not None and step.end_time is not None:
            seconds[_part(step.step_key)] += step.end_time - step.start_time
    seconds["the rest"] = whole - sum(seconds[name] for name in PARTS[:-1])
    return seconds


def _part(step: str) -> str:
    if step.startswith("serving__"):
        return "syncs"
    return {"dbt_warehouse": "dbt warehouse", "dbt_serving": "dbt serving"}.get(step, "the rest")


def _modes(instance: dg.DagsterInstance, run_id: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.dagster_event
        if event is not None and event.asset_key is not None and event.asset_key.path[0] == "serving":
            found[_mode(event.materialization.metadata)] += 1
    return dict(found)


def _mode(metadata: "dict[str, dg.MetadataValue] | object") -> str:
    """Before syncs had modes they said whether the mart was copied."""
    assert isinstance(metadata, dict)
    if "mode" in metadata:
        return str(metadata["mode"].value)
    return "full" if metadata["copied"].value else "unchanged"
