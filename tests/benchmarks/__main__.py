"""make bench."""

import tempfile
from pathlib import Path

import click

from tests.benchmarks import report
from tests.benchmarks.bench import opened
from tests.benchmarks.items import ITEMS, QUICK, Sizes
from tests.benchmarks.migration import shown as migration
from tests.benchmarks.results import Results

_ROOT = Path(__file__).parents[2]


@click.command()
@click.argument("items", nargs=-1, type=click.Choice([*ITEMS, "report"]))
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that it works, measures nothing.")
@click.option("--rounds", type=click.IntRange(1), help="How many times each thing is measured; 3 by default.")
@click.option("--results", type=click.Path(path_type=Path), default=_ROOT / ".bench", help="Where figures are kept.")
@click.option("--docs", type=click.Path(path_type=Path), default=_ROOT / "docs", help="Where the report goes.")
def bench(items: tuple[str, ...], quick: bool, rounds: int | None, results: Path, docs: Path) -> None:
    """Measure ITEMS, all by default, and write the report from these and from what was measured before.

    \b
    Examples:
      make bench                          # everything: about an hour
      make bench ARGS="drain --rounds 5"
      make bench ARGS=report              # write the report again
    """
    kept, sizes = Results(results), QUICK if quick else Sizes()
    if rounds:
        sizes = Sizes(**{**vars(sizes), "rounds": rounds})
    with tempfile.TemporaryDirectory() as folder:
        if wanted := [item for item in ITEMS if item in items or not items]:
            with opened(Path(folder), click.echo) as servers:
                for item in wanted:
                    click.echo(item)
                    kept.keep(item, ITEMS[item](servers, sizes, click.echo))
    tables = kept.tables(list(ITEMS))
    page = docs / "benchmarks.md"
    command = "make bench" + "".join(f" {each}" for each in (*items, *["--quick"] * quick))
    text = report.markdown(tables, command, page.read_text() if page.exists() else "")
    page.write_text(text + migration.of(page))
    if charted := next((table for table in tables if table.bars), None):
        (docs / "benchmarks.svg").write_text(report.chart(charted))
    click.echo(text)


if __name__ == "__main__":
    bench()
