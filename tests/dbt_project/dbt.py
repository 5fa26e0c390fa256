"""dbt on the tests' servers, as its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import clickhouse_connect
from pydantic import SecretStr

from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.settings import Settings
from tests.harness import clocks
from tests.harness.running import query

WAREHOUSE = Path(__file__).parents[2] / "dbt_project" / "warehouse"


def start(
    stack: Mapping[str, str],
    target: Path,
    *arguments: str,
    clock_ahead: int = 0,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[str]":
    """`dbt ARGUMENTS` on the warehouse, its artifacts in a folder of the test's, its clock ahead by so many seconds."""
    settings = Settings(
        _env_file=None,
        dbt_clickhouse_url=SecretStr(stack["GCC_DBT_CLICKHOUSE_URL"]),
        dbt_postgres_url=SecretStr(stack["GCC_DBT_POSTGRES_URL"]),
    )
    return subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("dbt")), "--quiet", *arguments),
            *("--project-dir", str(WAREHOUSE), "--profiles-dir", str(WAREHOUSE)),
            *("--target-path", str(target), "--log-path", str(target)),
        ],
        env=os.environ | dbt_environment(settings) | (clocks.ahead(clock_ahead) if clock_ahead else {}) | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def forget(stack: Mapping[str, str]) -> None:
    """Drop what was built: an incremental model keeps the rows of events that another test has dropped since."""
    url = stack["GCC_DBT_CLICKHOUSE_URL"]
    for name in query(url, "SELECT name FROM system.tables WHERE database = 'warehouse'").split():
        query(url, f"DROP TABLE warehouse.{name} SYNC")


def run(stack: Mapping[str, str], target: Path, *arguments: str, clock_ahead: int = 0) -> dict[str, str]:
    """Run dbt to its end; the status of every node by its unique id."""
    process = start(stack, target, *arguments, clock_ahead=clock_ahead)
    said, _ = process.communicate()
    results = target / "run_results.json"
    assert results.exists(), said
    return {node["unique_id"]: node["status"] for node in json.loads(results.read_text())["results"]}


def tables(stack: Mapping[str, str]) -> list[str]:
    """The marts, and the tables of the intermediate models; without the leftovers of a killed run."""
    found = query(
        stack["GCC_DBT_CLICKHOUSE_URL"],
        "SELECT name FROM system.tables WHERE database = 'warehouse' "
        "AND (name LIKE 'mart_%' OR name LIKE 'int_%' AND engine != 'View') ORDER BY name",
    ).split()
    return [name for name in found if "__dbt" not in name]


def rows(stack: Mapping[str, str], table: str, platform: str) -> list[dict[str, Any]]:
    """A table's rows of the platforms that are LIKE this, in order."""
    statement = f"SELECT * FROM warehouse.{table} WHERE platform LIKE {{platform:String}} ORDER BY ALL"
    with clickhouse_connect.get_client(dsn=stack["GCC_DBT_CLICKHOUSE_URL"]) as client:
        return list(client.query(statement, {"platform": platform}, tz_mode="aware").named_results())
