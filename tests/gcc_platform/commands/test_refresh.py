"""One refresh, from the raw tables to what the API reads, as an operator sees it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import clickhouse_connect
import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner, Result

from gcc_platform.cli import main
from gcc_platform.defs import runs
from gcc_platform.resources.dbt_project import manifest
from ingest_service.schema.inventory import RAW_TABLES
from tests.benchmarks.api.queries import queries_of
from tests.dbt_project import dbt

REPOSITORY = Path(__file__).parents[3]
_MARTS = ("mart_leaderboard", "mart_post_timeseries", "mart_profile_growth", "mart_profile_timeseries")
_REFRESH = "from gcc_platform.commands.refresh import refresh_command; refresh_command()"


def refresh(environment: Mapping[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    servers = {name for name in os.environ if name.endswith("_URL")}
    inherited = {name: value for name, value in os.environ.items() if name not in servers}
    return subprocess.run(
        [sys.executable, "-c", _REFRESH],
        cwd=REPOSITORY,
        env={**inherited, **environment, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dagster_home")


@pytest.fixture(scope="module")
def refreshed(raw_tables: Mapping[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    """A refresh after one profile and some posts were crawled."""
    dbt.forget(raw_tables)
    with clickhouse_connect.get_client(dsn=raw_tables["CLICKHOUSE_URL"]) as ingest:
        for table in RAW_TABLES:
            ingest.command(f"TRUNCATE TABLE {table}")
        ingest.command(
            "INSERT INTO _e.post_log_events "
            "(event_id, source, platform, profile_id, shortcode, event_timestamp, metrics) "
            "SELECT generateUUIDv4(), 'graphapi', 'INSTAGRAM', 'p1', concat('s', toString(number)), "
            "toDateTime('2026-01-01 10:00:00', 'UTC'), '{\"views\": 7, \"likes\": \"many\"}' FROM numbers(50)"
        )
        ingest.command(
            "INSERT INTO _e.profile_log_events (event_id, source, platform, profile_id, event_timestamp, metrics) "
            "SELECT generateUUIDv4(), 'graphapi', 'INSTAGRAM', 'p1', "
            "toDateTime('2026-01-01', 'UTC') + INTERVAL number DAY, '{\"followers\": 100}' FROM numbers(5)"
        )
    return refresh(raw_tables, home)


@pytest.mark.slow
def test_a_refresh_says_what_it_built(refreshed: subprocess.CompletedProcess[str]) -> None:
    assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
    assert "built    marts/mart_post_timeseries (50 rows)" in refreshed.stdout
    assert "built    serving/mart_profile_timeseries (5 rows)" in refreshed.stdout
    assert "built    api/leaderboard" in refreshed.stdout
    assert "FAILED" not in refreshed.stdout


@pytest.mark.slow
def test_a_refresh_reports_the_raw_tables_that_have_new_rows(
    refreshed: subprocess.CompletedProcess[str], home: Path
) -> None:
    assert "arrived  raw/post_log_events (50 rows)" in refreshed.stdout
    assert "raw/order_log_events" not in refreshed.stdout
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for name in ("post_log_events", "profile_log_events"):
            assert len(instance.fetch_materializations(dg.AssetKey(["raw", name]), limit=10).records) == 1


@pytest.mark.slow
def test_a_refresh_warns_of_absurd_numbers(refreshed: subprocess.CompletedProcess[str]) -> None:
    """One row for each metric and source that brought any, with an example."""
    warning = "warning  staging/stg_beat_post_log counts_are_counts__stg_beat_post_log: 1 row, e.g. metric "
    assert warning in refreshed.stdout


@pytest.mark.slow
def test_every_check_is_of_the_data_as_it_is_now(refreshed: subprocess.CompletedProcess[str], home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        found = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [entry.get_dagster_event().asset_check_evaluation_data for entry in found]
        assert {check.asset_key.path[0] for check in checks} == {"staging", "intermediate", "marts", "serving", "api"}
        for check in checks:
            last = instance.fetch_materializations(check.asset_key, limit=1).records
            checked = check.target_materialization_data
            assert (checked and checked.storage_id) == (last[0].storage_id if last else None), check


def test_no_password_is_printed_or_kept(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str], home: Path
) -> None:
    passwords = [url.partition("://")[2].partition("@")[0].partition(":")[2] for url in raw_tables.values()]
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for password in filter(None, passwords):
        assert password not in refreshed.stdout + refreshed.stderr
        assert password.encode() not in kept


@pytest.mark.slow
@pytest.mark.parametrize("mart", _MARTS)
def test_postgres_serves_the_marts_rows(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str], mart: str
) -> None:
    with (
        clickhouse_connect.get_client(dsn=raw_tables["GCC_SYNC_CLICKHOUSE_URL"]) as clickhouse,
        psycopg.connect(raw_tables["GCC_DBT_POSTGRES_URL"]) as reader,
    ):
        [names] = clickhouse.query(
            "SELECT groupArray(name) FROM system.columns WHERE database = 'warehouse' AND table = {mart:String}",
            {"mart": mart},
        ).result_rows[0]
        columns = ", ".join(names)
        there = clickhouse.query(f"SELECT {columns} FROM warehouse.{mart}", tz_mode="aware").result_rows
        here = reader.execute(f"SELECT {columns} FROM serving.{mart}").fetchall()
    assert len(here) > 0
    assert sorted(map(repr, map(_plain, here))) == sorted(map(repr, map(_plain, there)))


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Decimals and times as text: both drivers have classes of their own for the same value."""
    return tuple(
        value.timestamp() if hasattr(value, "timestamp") else int(value) if type(value).__name__ == "Decimal" else value
        for value in row
    )


@pytest.mark.slow
def test_the_api_reads_its_views(raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str]) -> None:
    with psycopg.connect(raw_tables["GCC_READER_POSTGRES_URL"]) as api:
        assert api.execute("SELECT count(*) FROM api.post_daily").fetchone() == (50,)
        assert api.execute("SELECT count(*), count(as_of) FROM api.freshness").fetchone() == (12, 12)
        for query in queries_of(manifest("serving")):
            api.execute(re.sub(r"%\(\w+\)s", "NULL", query.sql).encode())


def command(environment: Mapping[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env=dict(environment))


@pytest.mark.slow
def test_a_sync_by_hand_says_what_it_does_with_each_mart(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str]
) -> None:
    dry = command(raw_tables, "sync", "--dry-run")
    assert (dry.exit_code, dry.stdout.count("would be unchanged (no row has changed)")) == (0, 16)
    full = command(raw_tables, "sync", "mart_post_timeseries", "--full", "--json")
    [result] = json.loads(full.stdout)
    assert (full.exit_code, result["mode"], result["reason"]) == (0, "full", "it was asked for")
    assert (result["rows"], result["inserted"], result["findings"]) == (50, 50, [])
    unknown = command(raw_tables, "sync", "mart_of_dreams")
    assert unknown.exit_code == 1
    assert "mart_of_dreams is not a mart. The marts are: mart_activity, " in unknown.stderr


@pytest.mark.slow
def test_parity_compares_all_rows_and_exits_with_1_if_it_had_to_repair_some(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str]
) -> None:
    with psycopg.connect(raw_tables["POSTGRES_URL"], autocommit=True) as sync:
        [(table,)] = sync.execute(
            "SELECT table_name FROM serving_data.syncs WHERE mart = 'mart_post_timeseries'"
        ).fetchall()
        sync.execute(f"UPDATE serving_data.{table} SET views = 8 WHERE shortcode = 's7'")
        sync.execute("SELECT pg_stat_force_next_flush()")
    repaired = command(raw_tables, "parity", "--all")
    assert repaired.exit_code == 1
    assert "mart_post_timeseries: " in repaired.stdout
    assert "0 rows were missing, 1 had other values, 0 were not in the mart, e.g. INSTAGRAM, p1, s7" in repaired.stdout
    equal = command(raw_tables, "parity", "mart_post_timeseries", "--all")
    assert (equal.exit_code, equal.stdout) == (0, "mart_post_timeseries: 50 of 50 rows compared, equal\n")


@pytest.mark.slow
def test_what_was_changed_in_postgres_by_hand_is_named_and_repaired_by_the_next_refresh(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str], home: Path
) -> None:
    with psycopg.connect(raw_tables["POSTGRES_URL"], autocommit=True) as sync:
        [(table,)] = sync.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'serving_data' "
            "AND tablename LIKE 'mart_profile_timeseries\\_\\_%'"
        ).fetchall()
        sync.execute(f"DELETE FROM serving_data.{table} WHERE date = '2026-01-01'")
        sync.execute("SELECT pg_stat_force_next_flush()")
    with psycopg.connect(raw_tables["GCC_DBT_POSTGRES_URL"], autocommit=True) as dbt_user:
        dbt_user.execute("DROP VIEW api.leaderboard")

    repaired = refresh(raw_tables, home)

    assert repaired.returncode == 0, repaired.stdout
    served = ("  warning  serving", "  warning  api")
    assert [line for line in repaired.stdout.splitlines() if line.startswith(served)] == [
        "  warning  serving/mart_profile_timeseries served_as_loaded: "
        "4 rows are served, 5 were loaded; 0 were inserted or updated by somebody since. Repaired.",
        "  warning  api/leaderboard as_built: the view api.leaderboard was dropped. Built again.",
    ]
    with psycopg.connect(raw_tables["GCC_READER_POSTGRES_URL"]) as reader:
        assert reader.execute("SELECT count(*) FROM api.profile_daily").fetchone() == (5,)
        assert reader.execute("SELECT count(*) FROM api.leaderboard").fetchone() != (0,)


@pytest.mark.slow
def test_a_model_that_fails_is_named_and_keeps_no_other_from_being_served(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str], home: Path
) -> None:
    with clickhouse_connect.get_client(dsn=raw_tables["CLICKHOUSE_URL"]) as ingest:
        ingest.command("RENAME TABLE _e.trace_log_events TO _e.trace_log_events_away")
        ingest.command(
            "INSERT INTO _e.post_log_events (event_id, source, platform, profile_id, shortcode, event_timestamp) "
            "SELECT generateUUIDv4(), 'graphapi', 'INSTAGRAM', 'p1', 'another', toDateTime('2026-01-01 10:00', 'UTC')"
        )
        try:
            failed = refresh(raw_tables, home)
        finally:
            ingest.command("RENAME TABLE _e.trace_log_events_away TO _e.trace_log_events")

    assert failed.returncode == 1
    assert "FAILED   platform__refresh: dbt failed at model.warehouse.stg_beat_trace_log" in failed.stdout
    assert "skipped  serving/mart_trace_latency" in failed.stdout
    assert "built    serving/mart_post_timeseries (51 rows)" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr


@pytest.mark.slow
def test_a_server_that_refuses_everything_is_named(raw_tables: Mapping[str, str], home: Path) -> None:
    unprivileged = {**raw_tables, "GCC_DBT_CLICKHOUSE_URL": raw_tables["GCC_SYNC_CLICKHOUSE_URL"]}

    failed = refresh(unprivileged, home)

    assert failed.returncode == 1
    assert "Not enough privileges" in failed.stdout
    assert "skipped  serving/mart_leaderboard" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr


@pytest.mark.slow
def test_a_second_refresh_is_refused_while_one_runs_and_not_if_its_process_was_killed(
    raw_tables: Mapping[str, str], refreshed: subprocess.CompletedProcess[str], home: Path
) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        tags = {runs.PROCESS: runs.this_process(), runs.STARTED_BY: "the test"}
        run = instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED, tags=tags))
        refused = refresh(raw_tables, home)
        assert refused.returncode == 1
        assert "the refresh that the test started" in refused.stderr
        assert f"/runs/{run.run_id}" in refused.stderr

        killed = subprocess.Popen(["true"])
        killed.wait()
        host = runs.this_process().rpartition(":")[0]
        instance.add_run_tags(run.run_id, {runs.PROCESS: f"{host}:{killed.pid}"})
        assert runs.unfinished(instance) is None
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE


def test_without_urls_it_says_which_one_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REFRESH],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), "DAGSTER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "CLICKHOUSE_URL is not set" in done.stderr
