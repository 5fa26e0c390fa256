"""Dagster knows what arrives in the raw tables, and says so once per arrival."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.defs.raw import checks
from gcc_platform.defs.raw.assets import raw_tables as specs
from gcc_platform.defs.raw.sensors import raw_arrivals
from gcc_platform.defs.resources import ClickHouseResource

ASSETS = dg.AssetKey(["raw", "asset_log_events"])
ORDERS = dg.AssetKey(["raw", "order_log_events"])


@pytest.fixture(autouse=True)
def _empty(platform: Mapping[str, str], ingest: Client) -> None:
    for table in ("asset_log_events", "order_log_events"):
        ingest.command(f"TRUNCATE TABLE _e.{table}")


def insert(ingest: Client, event_ids: list[str], minutes_ago: int = 0) -> None:
    for event_id in event_ids:
        ingest.command(
            "INSERT INTO _e.asset_log_events (event_id, platform, asset_id, event_timestamp, insert_timestamp) "
            f"SELECT '{event_id}', 'INSTAGRAM', 'a', '2026-01-01 00:00:00', now64(3) - INTERVAL {minutes_ago} MINUTE"
        )


def tick(instance: dg.DagsterInstance) -> tuple[list[dg.AssetKey], list[dg.AssetKey]]:
    """What one evaluation observes and what it materializes, which the instance is told as the daemon would."""
    result = raw_arrivals(dg.build_sensor_context(instance=instance), clickhouse=ClickHouseResource())
    assert isinstance(result, dg.SensorResult)
    moved = [event for event in result.asset_events if isinstance(event, dg.AssetMaterialization)]
    for event in moved:
        instance.report_runless_asset_event(event)
    observed = [event.asset_key for event in result.asset_events if isinstance(event, dg.AssetObservation)]
    return observed, [event.asset_key for event in moved]


def test_the_sensor_observes_always_and_materializes_what_moved_when_no_refresh_has(
    ingest: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        observed, moved = tick(instance)
        assert len(observed) == 12
        assert ASSETS in moved
        assert ORDERS not in moved

        insert(ingest, [str(uuid4())])
        observed, moved = tick(instance)
        assert len(observed) == 12
        assert moved == []  # something was told a moment ago: a refresh is at work

        monkeypatch.setattr("gcc_platform.defs.raw.sensors._REFRESH_IS_AWAY", timedelta(0))
        assert tick(instance)[1] == [ASSETS]
        assert tick(instance)[1] == []


def test_a_refresh_tells_what_moved_before_it_checks_so_that_checks_are_current(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        defs = dg.Definitions(
            assets=specs, asset_checks=[checks.raw_checks], resources={"clickhouse": ClickHouseResource()}
        )
        job = defs.resolve_implicit_global_asset_job_def()
        for _ in range(2):
            result = job.execute_in_process(instance=instance)
            last = instance.get_latest_materialization_event(ASSETS)
            assert last is not None
            evaluations = [e for e in result.get_asset_check_evaluations() if e.asset_key == ASSETS]
            assert len(evaluations) == 2
            for evaluation in evaluations:
                assert evaluation.target_materialization_data is not None
                assert evaluation.target_materialization_data.timestamp == last.timestamp
        records = instance.fetch_materializations(ASSETS, limit=10).records
        assert len(records) == 1  # nothing moved between the two


def run(name: str) -> dict[dg.AssetKey, Any]:
    job = dg.define_asset_job("only_checks", selection=dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions(
        assets=specs, asset_checks=[checks.raw_checks], jobs=[job], resources={"clickhouse": ClickHouseResource()}
    )
    result = defs.resolve_job_def("only_checks").execute_in_process()
    return {found.asset_key: found for found in result.get_asset_check_evaluations() if found.check_name == name}


def test_a_table_without_any_event_passes_and_says_so() -> None:
    evaluation = run("recent_arrivals")[ASSETS]
    assert evaluation.passed
    assert evaluation.description == "no event has ever arrived"


def test_a_table_that_gets_rows_passes(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    evaluation = run("recent_arrivals")[ASSETS]
    assert evaluation.passed
    assert evaluation.metadata["rows"].value == 1
    assert evaluation.metadata["minutes_since_insert"].value < 1


def test_a_table_that_gets_no_rows_any_more_warns(ingest: Client) -> None:
    insert(ingest, [str(uuid4())], minutes_ago=600)
    evaluation = run("recent_arrivals")[ASSETS]
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["minutes_since_insert"].value == pytest.approx(600, abs=1)
    assert evaluation.description == "the newest row came 600 minutes ago, the limit is 30"


def test_copies_are_counted(ingest: Client) -> None:
    again = str(uuid4())
    insert(ingest, [str(uuid4()), again])
    assert run("copies")[ASSETS].passed

    ingest.command("OPTIMIZE TABLE _e.asset_log_events FINAL")
    insert(ingest, [again])
    evaluation = run("copies")[ASSETS]
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert (evaluation.metadata["rows"].value, evaluation.metadata["events"].value) == (3, 2)
    assert evaluation.metadata["share"].value == pytest.approx(1 / 3, abs=1e-5)


def test_a_check_runs_alone_for_the_assets_selected(ingest: Client) -> None:
    job = dg.define_asset_job("one", selection=dg.AssetSelection.checks_for_assets(ASSETS))
    defs = dg.Definitions(
        assets=specs,
        asset_checks=[checks.raw_checks],
        jobs=[job],
        resources={"clickhouse": ClickHouseResource()},
    )
    result = defs.resolve_job_def("one").execute_in_process()
    assert [evaluation.asset_key for evaluation in result.get_asset_check_evaluations()] == [ASSETS, ASSETS]
