"""A planted history shrinks, what is new or newest stays, and Dagster still shows it: on SQLite and on PostgreSQL."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from gcc_platform.retention.prune import Pruned, prune
from gcc_platform.retention.settings import RetentionSettings

NOW = datetime.now(UTC)
OFTEN, RARE = dg.AssetKey("often"), dg.AssetKey("rare")
RUNS = 15
OBSERVATIONS = 150


@dg.asset(check_specs=[dg.AssetCheckSpec("well", asset="often")])
def often(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    context.log.info("x" * 20_000)
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="well")])


@dg.asset
def rare() -> None: ...


@dg.asset
def broken() -> None:
    raise dg.Failure("planted")


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, stack: Mapping[str, str], tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    if request.param == "postgres":
        (tmp_path / "dagster.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: '{stack['POSTGRES_URL']}?options=-csearch_path%3Dserving'}}}}\n"
        )
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        yield found
        found.wipe()


def run(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, age: timedelta) -> str:
    """Materialize an asset, as if it was so long ago."""
    run_id = dg.materialize([asset], instance=instance, raise_on_error=False).run_id
    at = (NOW - age).replace(tzinfo=None)
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(
            text("UPDATE runs SET create_timestamp = :at WHERE run_id = :run_id"), {"at": at, "run_id": run_id}
        )
    return run_id


def observe(instance: dg.DagsterInstance, count: int, age: timedelta) -> None:
    """Report observations and results of a check without a run, as if it was so long ago."""
    at = (NOW - age).replace(tzinfo=None)
    for number in range(count):
        instance.report_runless_asset_event(dg.AssetObservation(OFTEN, metadata={"n": number, "text": "y" * 500}))
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=OFTEN, check_name="by_sensor", passed=True, metadata={})
        )
    storage = instance.event_log_storage
    places = [storage.index_connection()]  # type: ignore[attr-defined]
    if hasattr(storage, "path_for_shard"):
        places.append(storage.run_connection(""))  # type: ignore[attr-defined]
    for place in places:
        with place as connection:
            connection.execute(text("UPDATE event_logs SET timestamp = :at WHERE run_id = ''"), {"at": at})
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        connection.execute(
            text("UPDATE asset_check_executions SET evaluation_event_timestamp = :at WHERE run_id = ''"), {"at": at}
        )


def pruned(instance: dg.DagsterInstance, home: Path, *, dry_run: bool = False, most_runs: int = 500) -> Pruned:
    def fails(message: str) -> None:
        raise AssertionError(message)

    return prune(instance, RetentionSettings(most_runs=most_runs), NOW, home, dry_run=dry_run, report=fails)


def test_a_long_history_shrinks_and_the_newest_of_everything_stays(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    only = run(instance, rare, timedelta(days=300))
    old = [run(instance, often, timedelta(days=15)) for _ in range(RUNS)]
    failed = run(instance, broken, timedelta(days=29))
    long_failed = run(instance, broken, timedelta(days=31))
    observe(instance, OBSERVATIONS, timedelta(days=4))
    new = run(instance, often, timedelta(days=4))

    counted = pruned(instance, tmp_path, dry_run=True)
    assert len(instance.get_run_ids()) == RUNS + 4
    found = pruned(instance, tmp_path)

    assert (counted.runs, counted.events) == (found.runs, found.events)
    assert found.runs == RUNS + 1
    assert set(instance.get_run_ids()) == {only, failed, new}
    assert not {*old, long_failed} & set(instance.get_run_ids())
    if hasattr(instance.event_log_storage, "path_for_shard"):
        assert found.bytes_after < found.bytes_before / 2
        assert not list(tmp_path.rglob(f"*{old[0]}*"))
    for key in (OFTEN, RARE):
        assert instance.get_latest_materialization_event(key) is not None
    assert len(instance.fetch_observations(OFTEN, limit=10).records) == 1
    checks = [dg.AssetCheckKey(OFTEN, name) for name in ("well", "by_sensor")]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    assert {key.name: record.status.value for key, record in latest.items()} == {
        "well": "SUCCEEDED",
        "by_sensor": "SUCCEEDED",
    }


def test_what_is_new_stays(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    kept = {run(instance, often, timedelta(days=4)) for _ in range(3)}
    observe(instance, 3, timedelta(days=2))
    found = pruned(instance, tmp_path)
    assert (found.runs, found.events) == (0, 0)
    assert set(instance.get_run_ids()) == kept
    assert len(instance.fetch_observations(OFTEN, limit=10).records) == 3


def test_of_more_runs_than_are_kept_the_oldest_go_however_new(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    only = run(instance, rare, timedelta(hours=9))
    runs = [run(instance, asset, timedelta(hours=age)) for age in (8, 7, 6, 5) for asset in (often, broken)]
    assert pruned(instance, tmp_path, most_runs=3).runs == 5
    assert set(instance.get_run_ids()) == {only, *runs[-3:]}


def test_a_run_that_is_under_way_stays_however_old(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    started = instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED))
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(text("UPDATE runs SET create_timestamp = '2020-01-01'"))
    assert pruned(instance, tmp_path).runs == 0
    assert instance.get_run_by_id(started.run_id) is not None


def test_dbts_output_of_other_releases_goes(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    for name, age in (("warehouse-old", 15), ("warehouse-new", 1)):
        folder = tmp_path / "dbt" / name / "target"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        at = (NOW - timedelta(days=age)).timestamp()
        for path in (folder / "manifest.json", folder):
            os.utime(path, (at, at))
    assert pruned(instance, tmp_path).dbt_folders == 1
    assert [path.name for path in (tmp_path / "dbt").iterdir()] == ["warehouse-new"]
