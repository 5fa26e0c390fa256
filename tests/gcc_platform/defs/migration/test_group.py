"""The migration in Dagster: its assets, gates, jobs and sensor, on real servers."""

from collections.abc import Iterator, Mapping

import dagster as dg
import psycopg
import pytest

from gcc_platform.defs.migration import group, keys, sensors
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill

TABLE = "profile_log"


@pytest.fixture
def defs(
    raw_tables: Mapping[str, str],
    moving: Moving,
    monkeypatch: pytest.MonkeyPatch,
) -> dg.Definitions:
    for name, value in {**raw_tables, "GCC_LEGACY_URL": moving.legacy_url, "GCC_MIGRATION_CHUNK_ROWS": "500"}.items():
        monkeypatch.setenv(name, value)
    return group.definitions(is_on=True)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(
    defs: dg.Definitions, job: str, instance: dg.DagsterInstance, config: Mapping[str, object] | None = None
) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=instance, run_config=config, raise_on_error=False)


def failed(result: dg.ExecuteInProcessResult) -> dict[str, str | None]:
    """The checks that failed, with their reasons."""
    return {each.check_name: each.description for each in result.get_asset_check_evaluations() if not each.passed}


def test_there_is_nothing_while_no_company_moves_over() -> None:
    assert not list(group.definitions(is_on=False).resolve_asset_graph().get_all_asset_keys())


def test_every_old_table_has_its_steps_in_the_order_of_the_flow(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for table in LEGACY_TABLES:
        assert graph.get(keys.parity(table)).parent_keys == {keys.backfill(table), keys.tail(table)}
        assert graph.get(keys.tail(table)).parent_keys == {keys.backfill(table)}
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == {"migration"}
    assert graph.has(keys.reverse("order_log"))
    assert not graph.has(keys.reverse("scrape_request_log"))


def test_the_backfill_goes_on_slice_by_slice_and_the_night_seals_it(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    operator: Operator,
    old: psycopg.Connection,
) -> None:
    fill(old, 1400)
    old.execute("DROP TABLE asset_log")
    operator.run("init")
    step = {"ops": {"migration__profile_log_backfill": {"config": {"rows": 400}}}}
    for done in (1, 2, 3):
        result = run(defs, "migration_backfill", instance, step)
        assert result.success
        [event] = result.asset_materializations_for_node("migration__profile_log_backfill")
        assert event.metadata["chunks_done"].value == done
    night = run(defs, "migration_nightly", instance)
    assert night.success
    [event] = night.asset_materializations_for_node("migration__profile_log_parity")
    assert event.metadata["chunks_equal"].value == 3
    assert {each.check_name for each in night.get_asset_check_evaluations()} >= {"totals_agree", "backfill_sealed"}


def test_a_red_gate_fails_the_night_with_its_numbers_and_refuses_the_next_phase(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    operator: Operator,
    moving: Moving,
    old: psycopg.Connection,
) -> None:
    fill(old, 600)
    operator.run("init")
    operator.run("backfill")
    old.execute("INSERT INTO profile_log (platform, profile_id) VALUES ('INSTAGRAM', 'p')")
    operator.run("tail", "--once")
    red = {"backfill_sealed": "3 of 3 chunks are sealed, 3 are done, 0 failed; 1 rejected rows are open"}
    night = run(defs, "migration_nightly", instance)
    assert night.success, "in the phase legacy it is a warning"
    assert failed(night) == red
    operator.run("advance", TABLE, "dual")
    moving.note("UPDATE migration.phases SET phase = 'reads'")
    night = run(defs, "migration_nightly", instance)
    assert not night.success
    assert failed(night) == red
    moving.note("DELETE FROM migration.phases")
    step = {"ops": {"enter_phase": {"config": {"table": TABLE, "phase": "dual", "dry_run": False}}}}
    assert run(defs, "migration_advance", instance, step).success
    step["ops"]["enter_phase"]["config"]["phase"] = "verified"
    refused = run(defs, "migration_advance", instance, step)
    assert not refused.success
    assert "is refused by backfill_sealed" in str(refused.failure_data_for_node("enter_phase"))
    assert moving.noted("SELECT phase, entered_by FROM migration.phases") == [("dual", "Dagster")]


def test_the_sensor_reports_lags_and_the_status_once_until_something_changes(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    operator: Operator,
    moving: Moving,
    old: psycopg.Connection,
) -> None:
    fill(old, 10)
    operator.run("init", TABLE)
    operator.run("backfill", TABLE, "insta_account_ts")
    operator.run("tail", TABLE, "--once")
    operator.run("reverse", TABLE, "--once")

    def look(cursor: str | None) -> dg.SensorResult:
        found = sensors.migration_lags(dg.build_sensor_context(instance=instance, cursor=cursor))
        assert isinstance(found, dg.SensorResult)
        return found

    first = look(None)
    assert [type(event).__name__ for event in first.asset_events] == [
        "AssetObservation", "AssetObservation", "AssetCheckEvaluation", "AssetCheckEvaluation", "AssetMaterialization",
    ]  # fmt: skip
    [status] = [event for event in first.asset_events if isinstance(event, dg.AssetMaterialization)]
    assert "| profile_log | legacy | 1 of 1 |" in str(status.metadata["status"].value)
    assert not look(first.cursor).asset_events
    moving.note("UPDATE migration.tail SET looked_at = now() - interval '1 hour'")
    [late] = look(first.cursor).asset_events
    assert isinstance(late, dg.AssetCheckEvaluation)
    assert (late.check_name, late.passed) == ("tail_caught_up", False)
