from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from gcc_platform import dagster_home


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv(dagster_home.POSTGRES, raising=False)


def test_one_variable_moves_the_history_to_postgres_and_its_removal_back(
    stack: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stack["POSTGRES_URL"] + "?options=-csearch_path%3Dserving"
    monkeypatch.setenv(dagster_home.POSTGRES, url)
    with dg.DagsterInstance.from_config(str(dagster_home.dagster_home())) as instance:
        run = instance.add_run(dg.DagsterRun(job_name="refresh"))
        with psycopg.connect(stack["POSTGRES_URL"]) as postgres:
            assert postgres.execute("SELECT run_id FROM serving.runs").fetchall() == [(run.run_id,)]
        assert instance.freshness_enabled  # the project's other settings are still there
        instance.wipe()
    assert str(stack["POSTGRES_URL"]) not in (tmp_path / "dagster.yaml").read_text()

    monkeypatch.delenv(dagster_home.POSTGRES)
    with dg.DagsterInstance.from_config(str(dagster_home.dagster_home())) as instance:
        assert instance.get_run_ids() == []
    assert (tmp_path / "dagster.yaml").is_symlink()


def test_settings_that_somebody_else_wrote_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv(dagster_home.POSTGRES, "postgresql://host/db")
    dagster_home.dagster_home()
    assert (tmp_path / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
