"""make cost: what a refresh of the warehouse costs after a few new events, beside building everything in full."""

import json
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from tests.benchmarks import crawls, report
from tests.benchmarks.bench import Bench, opened
from tests.dbt_project import dbt

_ROOT = Path(__file__).parents[2]
_SECTION = re.compile(r"(?<=<!-- make cost -->\n).*(?=<!-- end -->)", re.DOTALL)
_BUILD = ("build", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class Cost:
    """Of one model in one run."""

    seconds: float
    rows_read: int
    megabytes: float

    def cells(self) -> tuple[str, str, str]:
        """As a table shows it."""
        return f"{self.seconds:.1f}", f"{self.rows_read:,}", f"{self.megabytes:,.0f}"


@dataclass(frozen=True)
class Refresh:
    """One run of dbt. Tests are counted, not listed."""

    seconds: float
    models: dict[str, Cost]
    tests: Cost

    @property
    def rows_read(self) -> int:
        """By all models and tests."""
        return self.tests.rows_read + self.read_by_models

    @property
    def read_by_models(self) -> int:
        """By all models."""
        return sum(each.rows_read for each in self.models.values())


def measure(bench: Bench, history: int, new: int) -> tuple[Refresh, Refresh]:
    """Everything in full, and then what some new events cost."""
    bench.empty()
    step = history // 20
    for first in range(0, history, step):
        crawls.insert(bench, first, step, history)
    bench.wait_merged()
    full = _refresh(bench, "--full-refresh")
    crawls.insert(bench, history, new, history, now=True)  # after the watermark, which is the clock's
    return full, _refresh(bench)


def _refresh(bench: Bench, *arguments: str) -> Refresh:
    began = bench.sql("SELECT now64(6)").strip()
    started = time.monotonic()
    outcomes = dbt.run(bench.environment, Path(bench.folder), *_BUILD, *arguments)
    seconds = time.monotonic() - started
    failed = [name for name, status in outcomes.items() if status not in {"success", "pass", "warn", "no-op"}]
    if failed:
        raise RuntimeError(f"dbt failed at {failed}")
    time.sleep(3)  # query_log is written every second
    costs = {(kind, name): Cost(*cost) for kind, name, *cost in _costs(bench, began)}
    return Refresh(
        seconds,
        {name: cost for (kind, name), cost in costs.items() if kind == "model"},
        costs.get(("test", ""), Cost(0, 0, 0)),
    )


def _costs(bench: Bench, since: str) -> list[list[str | float]]:
    """Kind, name (tests together), seconds, rows read and the most memory of one query in MB, from the query log."""
    answer = bench.sql(
        r"""
        SELECT
            extract(query, '"node": "(\\w+)\\.warehouse\\.') AS kind,
            if(kind = 'model', extract(query, '"node": "model\\.warehouse\\.(\\w+)"'), '') AS name,
            sum(query_duration_ms) / 1000, sum(read_rows), max(memory_usage) / 1e6
        FROM system.query_log
        WHERE type = 'QueryFinish' AND kind != '' AND event_time_microseconds >= '"""
        + since
        + "' GROUP BY kind, name ORDER BY kind, name FORMAT JSONCompactEachRow"
        " SETTINGS output_format_json_quote_64bit_integers = 0"
    )
    return [json.loads(line) for line in answer.splitlines()]


def _shown(history: int, new: int, full: Refresh, later: Refresh) -> str:
    """The section of docs/warehouse.md."""
    rows = [
        (name, *cost.cells(), *later.models.get(name, Cost(0, 0, 0)).cells())
        for name, cost in sorted(full.models.items())
    ]
    rows.append(("all tests", *full.tests.cells(), *later.tests.cells()))
    lines = [
        f"Measured by `make cost`, {history:,} events of all types ({crawls.PROFILES:,} profiles, {crawls.DAYS} days), "
        f"then {new:,} new ones, which touch every profile. `dbt build`, models and data tests: {full.seconds:.0f} s "
        f"in full, {later.seconds:.0f} s after the new events. That reads {later.rows_read / full.rows_read:.1%} of "
        f"the rows ({later.rows_read:,} of {full.rows_read:,}); of those that the models read, without the tests, "
        f"{later.read_by_models / full.read_by_models:.1%} ({later.read_by_models:,} of {full.read_by_models:,}). "
        "Seconds are summed over queries that ran side by side; memory is the most of one query.",
        "",
        f"Machine: {report.machine()}.",
        "",
        report.grid(("model", "full: s", "rows read", "MB", "refresh: s", "rows read", "MB"), rows),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=10_000_000, show_default=True, help="What is there.")
@click.option("--new", type=click.IntRange(1), default=100_000, show_default=True, help="What comes then.")
@click.option("--docs", type=click.Path(path_type=Path), default=_ROOT / "docs", help="Where warehouse.md is.")
def cost(events: int, new: int, docs: Path) -> None:
    """Measure a refresh beside a full one, and write the section of docs/warehouse.md.

    \b
    Examples:
      make cost
      make cost ARGS="--events 1000000 --new 10000"
    """
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), click.echo) as bench:
        section = _shown(events, new, *measure(bench, events, new))
    page = docs / "warehouse.md"
    page.write_text(_SECTION.sub(lambda _: section, page.read_text()))
    click.echo(section)


if __name__ == "__main__":
    cost()
