"""The short form of `make bench`: it runs, and says something of each item."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_ITEMS = {
    "drain": "Drain until durable",
    "publish": "Publishing",
    "latency": "Latency",
    "inserts": "Inserts, parts and merges",
    "storage": "Storage",
    "queries": "Questions",
    "growth": "size of the backlog",
    "api": "The API",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench")
    arguments = [*_ITEMS, "--quick", "--results", folder / "results", "--docs", folder]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=_ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "benchmarks.svg").read_text().startswith("<svg")
    return (folder / "benchmarks.md").read_text()


@pytest.mark.parametrize("title", _ITEMS.values())
def test_make_bench_reports_every_item(report: str, title: str) -> None:
    assert f"{title}\n" in report


def test_what_is_compared_is_in_one_table(report: str) -> None:
    _, _, table = report.partition("## Drain until durable")
    table, _, _ = table.partition("\n## ")
    for compared in ("discards", "this service", "ClickHouse alone", "aio-pika", "naive", "50 connections"):
        assert compared in table
