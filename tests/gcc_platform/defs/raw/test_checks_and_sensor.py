"""The checks of the raw tables, by the job and by the sensor, which reports what has changed."""

from collections.abc import Mapping
from uuid import uuid4

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.defs import reported
from gcc_platform.defs.raw import checks, ingest_assets
from gcc_platform.defs.raw.assets import raw_tables
from gcc_platform.defs.raw.evaluation import DESCRIPTIONS
from gcc_platform.defs.raw.sensors import raw_tables_sensor
from gcc_platform.defs.resources import BrokerResource, ClickHouseResource
from tests.harness.emptied import empty
from tests.harness.orders import publish
from tests.harness.running import run as run_ingest

ASSETS = dg.AssetKey(["raw", "asset_log_events"])
CHECKS = 12 * len(DESCRIPTIONS) + 1  # and that of the unroutable messages


@pytest.fixture(scope="module")
def initialised(stack: Mapping[str, str]) -> Mapping[str, str]:
    """The stack's environment, with the queues as well."""
    assert run_ingest(stack, "init").returncode == 0
    return stack


@pytest.fixture(autouse=True)
def _empty(platform: Mapping[str, str], initialised: Mapping[str, str]) -> None:
    empty(initialised)


def insert(ingest: Client, event_ids: list[str], *, minutes_ago: int = 0, ahead_seconds: int = 0) -> None:
    for event_id in event_ids:
        ingest.command(
            "INSERT INTO _e.asset_log_events (event_id, platform, asset_id, event_timestamp, insert_timestamp) "
            f"SELECT '{event_id}', 'INSTAGRAM', 'a', now64(6) + INTERVAL {ahead_seconds} SECOND, "
            f"now64(3) - INTERVAL {minutes_ago} MINUTE"
        )


class Ticks:
    """Evaluations of the sensor, each with the cursor of the one before."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor: str | None = None

    def next(self) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self._instance, cursor=self._cursor)
        result = raw_tables_sensor(context, clickhouse=ClickHouseResource(), broker=BrokerResource())
        assert isinstance(result, dg.SensorResult)
        self._cursor = result.cursor
        return result

    def evaluations(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        return {
            (event.asset_key.path[-1], event.check_name): event
            for event in self.next().asset_events
            if isinstance(event, dg.AssetCheckEvaluation)
        }


def run(asset: dg.AssetKey) -> dict[str, dg.AssetCheckEvaluation]:
    """The results of the job's checks of one asset."""
    job = dg.define_asset_job("only_checks", selection=dg.AssetSelection.checks_for_assets(asset))
    defs = dg.Definitions(
        assets=[raw_tables],
        asset_checks=[checks.raw_checks],
        jobs=[job],
        resources={"clickhouse": ClickHouseResource(), "broker": BrokerResource()},
    )
    result = defs.resolve_job_def("only_checks").execute_in_process()
    assert {each.asset_key for each in result.get_asset_check_evaluations()} == {asset}
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_the_first_tick_reports_every_table_and_every_check_and_the_next_one_nothing() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        events = ticks.next().asset_events
        observed = {event.asset_key for event in events if isinstance(event, dg.AssetObservation)}
        assert observed == {*raw_tables.keys, *ingest_assets.KEYS}
        assert sum(isinstance(event, dg.AssetCheckEvaluation) for event in events) == CHECKS
        assert list(ticks.next().asset_events) == []


def test_a_change_is_reported_at_once_and_alone(ingest: Client) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        ticks.next()
        insert(ingest, [str(uuid4())], ahead_seconds=1_000)
        changed = ticks.evaluations()
        assert list(changed) == [("asset_log_events", "event_times")]
        found = changed["asset_log_events", "event_times"]
        assert not found.passed
        assert found.severity == dg.AssetCheckSeverity.WARN
        assert found.metadata["ahead"] == dg.IntMetadataValue(1)
        assert found.metadata["most_ahead_seconds"].value == pytest.approx(1_000, abs=5)


def test_checks_are_reported_again_after_a_materialization_or_dagster_would_show_none(ingest: Client) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        ticks.next()
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSETS))
        assert {table for table, _ in ticks.evaluations()} == {"asset_log_events"}


def test_everything_is_reported_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        ticks.next()
        monkeypatch.setattr(reported, "REPEAT_SECONDS", {True: 0, False: 0})
        assert len(ticks.evaluations()) == CHECKS


def test_dagster_stores_what_the_sensor_reports_and_shows_it_failed(ingest: Client) -> None:
    insert(ingest, [str(uuid4())], minutes_ago=600)
    with dg.DagsterInstance.ephemeral() as instance:
        for event in Ticks(instance).next().asset_events:
            instance.report_runless_asset_event(event)
        key = dg.AssetCheckKey(ASSETS, "freshness")
        last = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert last.status.value == "FAILED"
        assert last.evaluation is not None
        assert last.evaluation.description == "the newest row arrived 600 minutes ago, the limit is 30"


def test_a_table_that_does_not_exist_fails_two_checks_and_stops_nothing(ingest: Client) -> None:
    ingest.command("RENAME TABLE _e.asset_log_events TO _e.asset_log_events_away")
    try:
        found = run(ASSETS)
    finally:
        ingest.command("RENAME TABLE _e.asset_log_events_away TO _e.asset_log_events")
    assert {name for name, each in found.items() if not each.passed} >= {"freshness", "schema"}
    assert found["freshness"].description == "_e.asset_log_events does not exist: gcc-ingest init creates it"


def test_a_table_without_any_event_passes_and_says_so() -> None:
    found = run(ASSETS)["freshness"]
    assert found.passed
    assert found.description == "no event has ever arrived"


def test_a_queue_without_a_consumer_fails(stack: Mapping[str, str]) -> None:
    found = run(ASSETS)["queue"]
    assert not found.passed


def test_events_that_land_twice_are_duplicates_although_merges_have_removed_them(ingest: Client) -> None:
    rows = (
        "INSERT INTO _e.asset_log_events (event_id, platform, asset_id, event_timestamp) "
        "SELECT reinterpretAsUUID(number + 1), 'INSTAGRAM', 'a', toDateTime('2026-01-01') FROM numbers(500)"
    )
    ingest.command(rows)
    assert run(ASSETS)["duplicates"].passed
    ingest.command(rows, settings={"insert_deduplicate": 0})
    ingest.command("OPTIMIZE TABLE _e.asset_log_events FINAL")
    found = run(ASSETS)["duplicates"]
    assert not found.passed
    assert (found.metadata["landed"].value, found.metadata["events"].value) == (1_000, 500)


def test_what_lies_beside_the_raw_tables_is_observed_in_numbers_that_plot(ingest: Client) -> None:
    insert(ingest, [str(uuid4()), str(uuid4())])
    ingest.command(
        "INSERT INTO _e.dead_letter_events (letter_id, event_type, reason, archived_at) "
        "SELECT generateUUIDv4(), 'order_log', 'not_json', now64(3) - INTERVAL 60 SECOND FROM numbers(3)"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        observed = {
            event.asset_key: {name: value.value for name, value in event.metadata.items()}
            for event in Ticks(instance).next().asset_events
            if isinstance(event, dg.AssetObservation)
        }
    letters, ledger = observed[ingest_assets.DEAD_LETTERS], observed[ingest_assets.LEDGER]
    assert (letters["dagster/row_count"], letters["rows_of_order_log"]) == (3, 3)
    assert letters["seconds_since_newest"] == pytest.approx(60, abs=20)
    assert (ledger["dagster/row_count"], ledger["inserts_in_15_minutes"]) == (2, 2)
    assert (ledger["rows_in_15_minutes"], ledger["rows_of_asset_log"]) == (2, 2)


def test_a_message_of_no_queue_fails_by_the_job_and_by_the_sensor(initialised: Mapping[str, str]) -> None:
    publish(initialised, "no_such_events", b"{}")
    with dg.DagsterInstance.ephemeral() as instance:
        found = Ticks(instance).evaluations()["unroutable", "empty"]
    job = dg.define_asset_job("only_it", selection=dg.AssetSelection.checks_for_assets(ingest_assets.UNROUTABLE))
    defs = dg.Definitions(
        assets=[*ingest_assets.specs()],
        asset_checks=[checks.unroutable_check],
        jobs=[job],
        resources={"broker": BrokerResource()},
    )
    [by_job] = defs.resolve_job_def("only_it").execute_in_process().get_asset_check_evaluations()
    for each in (found, by_job):
        assert not each.passed
        assert each.description == "1 messages have a routing key of no queue"
