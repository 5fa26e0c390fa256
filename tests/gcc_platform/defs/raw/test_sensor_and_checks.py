"""Dagster observes the raw tables every minute; a refresh reports each arrival once, and checks read only."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.defs.raw import checks
from gcc_platform.defs.raw.assets import raw_tables
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


def tick(instance: dg.DagsterInstance) -> list[dg.AssetKey]:
    """The tables that one evaluation of the sensor observes. It reports nothing else."""
    result = raw_arrivals(dg.build_sensor_context(instance=instance), clickhouse=ClickHouseResource())
    assert isinstance(result, dg.SensorResult)
    assert all(isinstance(event, dg.AssetObservation) for event in result.asset_events)
    return [event.asset_key for event in result.asset_events]


def refresh_raw(instance: dg.DagsterInstance, asset: dg.AssetKey | None = None) -> dg.ExecuteInProcessResult:
    """The raw part of a refresh: the observation, then the checks; of all tables, or of one."""
    tables = dg.AssetSelection.assets(*([asset] if asset else raw_tables.keys))
    checked = dg.AssetSelection.checks_for_assets(asset) if asset else dg.AssetSelection.all_asset_checks()
    job = dg.define_asset_job("raw_part", selection=tables | checked)
    defs = dg.Definitions(
        assets=[raw_tables],
        asset_checks=[checks.raw_checks],
        jobs=[job],
        resources={"clickhouse": ClickHouseResource()},
    )
    return defs.resolve_job_def("raw_part").execute_in_process(instance=instance)


def reported(instance: dg.DagsterInstance, asset: dg.AssetKey) -> int:
    """How many materializations of a table were reported."""
    return len(instance.fetch_materializations(asset, limit=10).records)


def test_the_sensor_observes_every_table_and_materializes_none(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert len(tick(instance)) == 12
            insert(ingest, [str(uuid4())])


def test_a_refresh_observes_every_table_and_materializes_those_with_new_rows(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        observed = [
            event.asset_observation_data.asset_observation.asset_key
            for event in refresh_raw(instance).all_events
            if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
        ]
        assert len(observed) == 12
        assert (reported(instance, ASSETS), reported(instance, ORDERS)) == (1, 0)

        refresh_raw(instance)
        assert reported(instance, ASSETS) == 1

        insert(ingest, [str(uuid4())])
        refresh_raw(instance)
        assert (reported(instance, ASSETS), reported(instance, ORDERS)) == (2, 0)


def test_a_refresh_reports_arrivals_before_it_checks_so_that_checks_are_current(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = refresh_raw(instance)
            last = instance.get_latest_materialization_event(ASSETS)
            assert last is not None
            evaluations = [e for e in result.get_asset_check_evaluations() if e.asset_key == ASSETS]
            assert len(evaluations) == 2
            for evaluation in evaluations:
                assert evaluation.target_materialization_data is not None
                assert evaluation.target_materialization_data.timestamp == last.timestamp
        assert reported(instance, ASSETS) == 1  # nothing arrived between the two


def test_checks_alone_report_nothing(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    with dg.DagsterInstance.ephemeral() as instance:
        assert run("freshness", instance)[ASSETS].passed
        assert reported(instance, ASSETS) == 0


def test_a_table_that_does_not_exist_is_observed_and_stops_nothing(ingest: Client) -> None:
    ingest.command("RENAME TABLE _e.asset_log_events TO _e.asset_log_events_away")
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = refresh_raw(instance, ASSETS)
    finally:
        ingest.command("RENAME TABLE _e.asset_log_events_away TO _e.asset_log_events")
    assert result.success
    [freshness] = [found for found in result.get_asset_check_evaluations() if found.check_name == "freshness"]
    assert freshness.description == "_e.asset_log_events does not exist: gcc-ingest init creates it"


def test_the_raw_tables_keep_their_freshness_policies() -> None:
    assert all(spec.freshness_policy is not None for spec in raw_tables.specs)


def run(name: str, instance: dg.DagsterInstance | None = None) -> dict[dg.AssetKey, Any]:
    job = dg.define_asset_job("only_checks", selection=dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions(
        assets=[raw_tables],
        asset_checks=[checks.raw_checks],
        jobs=[job],
        resources={"clickhouse": ClickHouseResource()},
    )
    result = defs.resolve_job_def("only_checks").execute_in_process(instance=instance)
    return {found.asset_key: found for found in result.get_asset_check_evaluations() if found.check_name == name}


def test_a_table_without_any_event_passes_and_says_so() -> None:
    evaluation = run("freshness")[ASSETS]
    assert evaluation.passed
    assert evaluation.description == "no event has ever arrived"


def test_a_table_that_gets_rows_passes(ingest: Client) -> None:
    insert(ingest, [str(uuid4())])
    evaluation = run("freshness")[ASSETS]
    assert evaluation.passed
    assert evaluation.metadata["rows"].value == 1
    assert evaluation.metadata["minutes_since_insert"].value < 1


def test_a_table_that_gets_no_rows_any_more_warns(ingest: Client) -> None:
    insert(ingest, [str(uuid4())], minutes_ago=600)
    evaluation = run("freshness")[ASSETS]
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["minutes_since_insert"].value == pytest.approx(600, abs=1)
    assert evaluation.description == "the newest row arrived 600 minutes ago, the limit is 30"


def test_duplicates_are_counted(ingest: Client) -> None:
    again = str(uuid4())
    insert(ingest, [str(uuid4()), again])
    assert run("duplicates")[ASSETS].passed

    ingest.command("OPTIMIZE TABLE _e.asset_log_events FINAL")
    insert(ingest, [again])
    evaluation = run("duplicates")[ASSETS]
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert (evaluation.metadata["rows"].value, evaluation.metadata["events"].value) == (3, 2)
    assert evaluation.metadata["share"].value == pytest.approx(1 / 3, abs=1e-5)


def test_a_check_runs_alone_for_the_assets_selected(ingest: Client) -> None:
    job = dg.define_asset_job("one", selection=dg.AssetSelection.checks_for_assets(ASSETS))
    defs = dg.Definitions(
        assets=[raw_tables],
        asset_checks=[checks.raw_checks],
        jobs=[job],
        resources={"clickhouse": ClickHouseResource()},
    )
    result = defs.resolve_job_def("one").execute_in_process()
    assert [evaluation.asset_key for evaluation in result.get_asset_check_evaluations()] == [ASSETS, ASSETS]
