"""The warehouse builds on a real ClickHouse with dbt's own user, and its unit tests pass there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.settings import Settings
from ingest_service import clickhouse
from ingest_service.schema import apply

WAREHOUSE = Path(__file__).parents[2] / "dbt_project" / "warehouse"

Outcomes = dict[str, str]


@pytest.fixture(scope="module")
def outcomes(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """The outcome of every node of `dbt build`, by its unique id."""
    asyncio.run(create_raw_tables(stack["CLICKHOUSE_URL"]))
    target = tmp_path_factory.mktemp("warehouse")
    done = dbt("build", stack, target)
    results = target / "run_results.json"
    assert results.exists(), done.stdout + done.stderr
    return {node["unique_id"]: node["status"] for node in json.loads(results.read_text())["results"]}


async def create_raw_tables(url: str) -> None:
    async with clickhouse.connected(url, timeout_seconds=60) as connection:
        await apply.apply(connection)


def dbt(command: str, stack: Mapping[str, str], target: Path) -> subprocess.CompletedProcess[str]:
    settings = Settings(
        _env_file=None,
        dbt_clickhouse_url=SecretStr(stack["GCC_DBT_CLICKHOUSE_URL"]),
        dbt_postgres_url=SecretStr(stack["GCC_DBT_POSTGRES_URL"]),
    )
    return subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "--quiet", command),
            *("--project-dir", str(WAREHOUSE), "--profiles-dir", str(WAREHOUSE)),
            *("--target-path", str(target), "--log-path", str(target)),
        ],
        env=os.environ | dbt_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_unit_test_passes(outcomes: Outcomes) -> None:
    unit_tests = {name: status for name, status in outcomes.items() if name.startswith("unit_test.")}
    assert len(unit_tests) >= 8
    assert set(unit_tests.values()) == {"pass"}, unit_tests


def test_every_model_is_built(outcomes: Outcomes) -> None:
    models = {name: status for name, status in outcomes.items() if name.startswith("model.")}
    assert len(models) >= 5
    assert set(models.values()) == {"success"}, models


def test_no_data_test_fails(outcomes: Outcomes) -> None:
    tests = {name: status for name, status in outcomes.items() if name.startswith("test.")}
    assert set(tests.values()) <= {"pass", "warn"}, tests
