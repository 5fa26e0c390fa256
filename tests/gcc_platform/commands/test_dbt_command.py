"""`gcc-platform dbt`: the commands that docs/operations.md gives for on-call."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.running import query, run

COMMAND = [str(Path(sys.executable).with_name("gcc-platform")), "dbt", "warehouse"]


def dbt(environment: Mapping[str, str], target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = ("--target-path", str(target), "--log-path", str(target))
    return subprocess.run(
        [*COMMAND, *arguments, *places],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_model_that_has_lost_a_column_fails_by_name_and_a_full_refresh_repairs_it(
    stack: Mapping[str, str], tmp_path: Path
) -> None:
    assert run(stack, "init").returncode == 0
    build = ("build", "--select", "mart_orders", "+mart_orders", "--exclude-resource-type", "unit_test")
    assert dbt(stack, tmp_path, *build, "--full-refresh").returncode == 0

    query(stack["GCC_DBT_CLICKHOUSE_URL"], "ALTER TABLE warehouse.mart_orders DROP COLUMN status")
    failed = dbt(stack, tmp_path, *build)
    assert failed.returncode == 1
    assert "mart_orders" in failed.stdout
    assert "status String" in failed.stdout

    assert dbt(stack, tmp_path, *build, "--full-refresh").returncode == 0
    assert dbt(stack, tmp_path, *build).returncode == 0


def test_without_a_server_it_says_which_variable_is_missing(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("GCC_", "CLICKHOUSE_"))}
    done = subprocess.run(
        [*COMMAND, "parse"], env=bare, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "CLICKHOUSE_URL" in done.stderr
