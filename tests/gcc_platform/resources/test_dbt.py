"""dbt inside a run: it ends with the step that reads its events."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_dbt import dbt_assets

from gcc_platform.defs.warehouse.translator import Translator
from gcc_platform.resources.clickhouse import ClickHouseFailed
from gcc_platform.resources.dbt import Dbt, build, dbt_resource
from gcc_platform.resources.dbt_project import dbt_project

_PROJECT = dbt_project("warehouse")


@dbt_assets(
    manifest=_PROJECT.manifest_path,
    project=_PROJECT,
    dagster_dbt_translator=Translator(default_group="warehouse"),
    name="warehouse_of_the_test",
)
def _warehouse(context: dg.AssetExecutionContext, dbt_warehouse: Dbt) -> Iterator[Any]:
    def row_counts(keys: Sequence[dg.AssetKey]) -> Mapping[dg.AssetKey, int]:
        assert _running_dbt(), "dbt has ended before its first models were counted"
        raise ClickHouseFailed(f"cannot count {len(keys)} tables")

    yield from build(context, "warehouse", dbt_warehouse, row_counts, lambda query: [], context.log.error)


def _running_dbt() -> list[str]:
    """The command lines of this process's children that run dbt."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ") for pid in children]
    return [command for command in commands if "dbt" in command and "build" in command]


def test_dbt_is_ended_when_the_step_that_reads_its_events_fails(
    raw_tables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, url in raw_tables.items():
        monkeypatch.setenv(name, url)
    done = dg.materialize([_warehouse], resources={"dbt_warehouse": dbt_resource("warehouse")}, raise_on_error=False)
    failures = [event for event in done.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "cannot count 8 tables" in str(failures)
    assert _running_dbt() == []
