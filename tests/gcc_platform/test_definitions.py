"""What Dagster loads: complete, connected, and without any environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from gcc_platform.defs.raw import ingest_assets
from ingest_service.events.registry import EVENT_TYPES

REPOSITORY = Path(__file__).parents[2]

_DESCRIBE = """
import json
from gcc_platform.definitions import defs
graph = defs.resolve_asset_graph()
print(json.dumps({
    key.to_user_string(): {
        "group": graph.get(key).group_name,
        "kinds": sorted(graph.get(key).kinds),
        "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
        "owners": list(graph.get(key).owners),
        "description": graph.get(key).description,
        "metadata": sorted(graph.get(key).metadata),
        "uri": str(graph.get(key).metadata.get("dagster/uri", "")),
    }
    for key in graph.get_all_asset_keys()
}))
"""


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The assets as a fresh interpreter without any URL sees them, by key."""
    done = subprocess.run(
        [sys.executable, "-c", _DESCRIBE],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path_factory.mktemp("home"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    described: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return described


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    from gcc_platform.definitions import defs

    return defs


def keys(assets: dict[str, dict[str, Any]], group: str) -> set[str]:
    return {key.partition("/")[2] for key, asset in assets.items() if asset["group"] == group}


def test_every_step_of_the_flow_is_a_group(assets: dict[str, dict[str, Any]]) -> None:
    marts = {"mart_leaderboard", "mart_post_timeseries", "mart_profile_growth", "mart_profile_timeseries"}
    groups = {"raw", "ingest", "staging", "intermediate", "marts", "serving", "api", "platform"}
    assert {asset["group"] for asset in assets.values()} == groups
    assert keys(assets, "raw") == {f"{name}_events" for name in EVENT_TYPES}
    assert keys(assets, "ingest") == {"dead_letters", "ingest_batches", "unroutable"}
    assert keys(assets, "staging") >= {"stg_beat_post_log", "stg_beat_profile_log"}
    assert keys(assets, "marts") >= marts
    assert keys(assets, "serving") == keys(assets, "marts")
    assert keys(assets, "api") >= {"profile_daily", "post_daily", "leaderboard"}


def test_lineage_is_connected_from_the_broker_to_the_api(assets: dict[str, dict[str, Any]]) -> None:
    def ancestors(key: str) -> set[str]:
        upstream = set(assets[key]["upstream"])
        return upstream.union(*map(ancestors, upstream))

    assert ancestors("api/post_daily") == {
        "serving/mart_post_timeseries",
        "marts/mart_post_timeseries",
        "staging/stg_beat_post_log",
        "raw/post_log_events",
    }
    assert ancestors("api/leaderboard") >= {"raw/post_log_events", "raw/profile_log_events"}


def test_every_asset_says_what_it_is_and_whose(assets: dict[str, dict[str, Any]]) -> None:
    assert [key for key, asset in assets.items() if not asset["description"] or not asset["owners"]] == []


def test_raw_tables_show_their_columns_and_no_password(
    assets: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcc_platform.resources.clickhouse import table_uri
    from gcc_platform.settings import Settings

    shown = {"dagster/column_schema", "dagster/table_name", "dagster/uri", "dagster/code_references", "runbook"}
    assert shown <= set(assets["raw/post_log_events"]["metadata"])
    monkeypatch.setenv("GCC_SYNC_CLICKHOUSE_URL", "http://sync:secret@clickhouse.example:8123")
    assert table_uri(Settings(), "_e.x") == "clickhouse://clickhouse.example:8123/_e/x"


def test_the_declared_columns_are_the_tables_columns(ingest: Any) -> None:
    from gcc_platform.defs.raw import tables
    from gcc_platform.defs.raw.columns import column_schema

    declared = {tables.table_name(each): column_schema(each) for each in EVENT_TYPES.values()} | {
        spec.metadata["dagster/table_name"].removeprefix("_e."): spec.metadata["dagster/column_schema"]
        for spec in ingest_assets.specs()
        if spec.key != ingest_assets.UNROUTABLE
    }
    for table, schema in declared.items():
        real = ingest.query(
            "SELECT name, type FROM system.columns WHERE database = '_e' AND table = {table:String} "
            "AND default_kind != 'EPHEMERAL' ORDER BY position",
            {"table": table},
        ).result_rows
        assert [(column.name, column.type) for column in schema.columns] == real


def test_freshness_limits_come_from_the_dbt_sources() -> None:
    from gcc_platform.defs.raw.tables import freshness
    from gcc_platform.resources.dbt_project import manifest

    for source in manifest("warehouse")["sources"].values():
        limits = freshness(EVENT_TYPES[source["name"].removesuffix("_events")])
        assert limits is not None
        assert limits[1].total_seconds() >= source["freshness"]["error_after"]["count"] * 60


def test_every_15_minutes_everything_is_built_and_checked(defs: dg.Definitions) -> None:
    schedule = defs.resolve_schedule_def("every_15_minutes")
    assert schedule.cron_schedule == "*/15 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "UTC"
    layer = defs.resolve_job_def("refresh").asset_layer
    graph = defs.resolve_asset_graph()
    raw = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "raw"}
    assert set(layer.executable_asset_keys) == {*graph.materializable_asset_keys, *raw}
    assert raw == set(graph.observable_asset_keys)
    by_sensors = {*raw, *ingest_assets.KEYS, dg.AssetKey(["platform", "health"])}
    checked = {key for key in graph.asset_check_keys if key.asset_key not in by_sensors}
    assert set(layer.asset_graph.asset_check_keys) == checked


def test_two_refreshes_never_run_at_once(defs: dg.Definitions) -> None:
    tags = {**defs.resolve_job_def("refresh").tags, **defs.resolve_job_def("refresh").run_tags}
    [tag] = [name for name in tags if name.startswith("gcc/")]
    runs = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())["concurrency"]["runs"]
    assert {"key": tag, "value": {"applyLimitPerUniqueValue": True}, "limit": 1} in runs["tag_concurrency_limits"]


def test_dagster_accepts_its_settings(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").symlink_to(REPOSITORY / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.freshness_enabled is True


def test_every_check_has_a_description(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert [key.to_user_string() for key in graph.asset_check_keys if not graph.get(key).description] == []


def test_everything_that_is_served_has_a_freshness_policy(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    wanted = {
        key for key in graph.get_all_asset_keys() if graph.get(key).group_name in {"raw", "marts", "serving", "api"}
    }
    assert {key for key in wanted if graph.get(key).freshness_policy is None} == set()


def test_a_refresh_is_ended_after_ten_minutes(defs: dg.Definitions) -> None:
    assert defs.resolve_job_def("refresh").tags["dagster/max_runtime"] == "600"


def test_the_schedule_skips_while_a_refresh_runs_and_names_it(defs: dg.Definitions, tmp_path: Path) -> None:
    schedule = defs.resolve_schedule_def("every_15_minutes")
    stored = dg.DagsterInstance.local_temp(str(tmp_path))
    with stored as instance, dg.build_schedule_context(instance=instance) as context:
        [request] = schedule.evaluate_tick(context).run_requests or []
        assert request.tags["gcc/started_by"] == "schedule"
        run = instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED))
        skipped = schedule.evaluate_tick(context)
        assert skipped.run_requests in (None, [])
        assert f"/runs/{run.run_id}" in str(skipped.skip_message)


def test_the_whole_code_location_loads_as_dagsters_servers_load_it(defs: dg.Definitions) -> None:
    """Names of jobs and of steps share one namespace, which a single job does not notice."""
    defs.get_repository_def().load_all_definitions()


def test_every_check_of_ours_has_a_runbook_entry_and_a_name_that_fits(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    ours = {
        key.name
        for key in graph.asset_check_keys
        if key.asset_key.path[0] in {"raw", "ingest", "serving", "api", "platform"}
    }
    headings = re.findall(r"(?m)^### `?([A-Za-z_]+)`?$", (REPOSITORY / "docs" / "operations.md").read_text())
    assert ours - set(headings) == set()
    assert [name for name in ours if len(name) > 20] == []
