"""The short form of `make migration`: killed twice of each kind, every row is there once, and the report says so."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_row_survives_the_kills_and_the_report_says_so(tmp_path: Path) -> None:
    sizes = {"rows": 20_000, "kills": 2, "chunk-rows": 500, "steps": "fill,kills,proof"}
    arguments = [f"--{name}={size}" for name, size in sizes.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.migration", "--fast", *arguments, "--docs", tmp_path],
        cwd=_ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = (tmp_path / "benchmarks.md").read_text()
    for line in (
        "worker 2 times, ClickHouse 2 times, old PostgreSQL 2 times",
        "0 workers gave up",
        "| distinct event_ids in ClickHouse |",
        "| exit code of `check`, rows and totals | 0 |",
    ):
        assert line in report
