"""make bench."""

import subprocess
import tempfile
from pathlib import Path

import click

from tests.benchmarks import report, sections
from tests.benchmarks.bench import opened
from tests.benchmarks.items import ITEMS, QUICK, Sizes
from tests.benchmarks.results import Results
from tests.benchmarks.sync import command as sync

_ROOT = Path(__file__).parents[2]
_SYNC = "sync"
_SECTIONS = ("make migration", sync.SECTION, "make sync-proof")


@click.command()
@click.argument("items", nargs=-1, type=click.Choice([*ITEMS, _SYNC, "report"]))
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that it works, measures nothing.")
@click.option("--rounds", type=click.IntRange(1), help="How many times each thing is measured; 3 by default.")
@click.option("--results", type=click.Path(path_type=Path), default=_ROOT / ".bench", help="Where figures are kept.")
@click.option("--docs", type=click.Path(path_type=Path), default=_ROOT / "docs", help="Where the report goes.")
def bench(items: tuple[str, ...], quick: bool, rounds: int | None, results: Path, docs: Path) -> None:
    """Measure ITEMS, all by default, and write the report from these and from what was measured before.

    \b
    Examples:
      make bench                          # everything: about two hours
      make bench ARGS=sync                # the sync and a whole refresh, at 10 million events
      make bench ARGS="drain --rounds 5"
      make bench ARGS=report              # write the report again
    """
    kept, sizes = Results(results), QUICK if quick else Sizes()
    if rounds:
        sizes = Sizes(**{**vars(sizes), "rounds": rounds})
    if set(items) != {_SYNC}:
        _measure(
            items, kept, sizes, docs, "make bench" + "".join(f" {each}" for each in (*items, *["--quick"] * quick))
        )
    if _SYNC in items or not items:
        sync.run(results, docs, quick=quick, code=_commit(), say=click.echo)
    elif "report" in items:
        sync.write(results, docs, click.echo)


def _measure(items: tuple[str, ...], kept: Results, sizes: Sizes, docs: Path, command: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if wanted := [item for item in ITEMS if item in items or not items]:
            with opened(Path(folder), click.echo) as servers:
                for item in wanted:
                    click.echo(item)
                    kept.keep(item, ITEMS[item](servers, sizes, click.echo))
    tables = kept.tables(list(ITEMS))
    page = docs / "benchmarks.md"
    text = report.markdown(tables, command, page.read_text() if page.exists() else "")
    page.write_text(text + "".join(sections.of(page, each) for each in _SECTIONS))
    if charted := next((table for table in tables if table.bars), None):
        (docs / "benchmarks.svg").write_text(report.chart(charted))
    click.echo(text)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    bench()
