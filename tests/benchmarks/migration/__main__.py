"""make migration."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from tests.benchmarks import sections
from tests.benchmarks.migration import crawlers, filling, kills, nightly, proof, shown, speed
from tests.benchmarks.migration.servers import Servers, opened

_ROOT = Path(__file__).parents[3]
_NEW_ROWS = 200_000


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    rows: int
    years: float
    kills: int
    seed: int
    chunk_rows: int
    inserts: int
    turns: int
    slice_rows: int
    new_rows: int


Step = Callable[[Servers, Sizes, Callable[[str], None]], Any]

STEPS: dict[str, Step] = {
    "fill": lambda servers, sizes, say: filling.fill_all(servers, sizes.rows, sizes.years, sizes.seed, say),
    "crawlers": lambda servers, sizes, say: crawlers.measure(
        servers, sizes.inserts, sizes.turns, sizes.chunk_rows, say
    ),
    "speed": lambda servers, sizes, say: speed.measure(servers, sizes.slice_rows, sizes.chunk_rows, say),
    "kills": lambda servers, sizes, say: kills.survive(servers, sizes.kills, sizes.seed, sizes.chunk_rows, say),
    "proof": lambda servers, sizes, say: proof.prove(servers, sizes.chunk_rows, say),
    "nightly": lambda servers, sizes, say: nightly.measure(servers, sizes.new_rows, sizes.rows, sizes.seed + 1, say),
}


@click.command()
@click.option("--rows", type=click.IntRange(1000), default=20_000_000, show_default=True, help="Of both large logs.")
@click.option("--years", type=click.FloatRange(0.1), default=5.0, show_default=True, help="That they took.")
@click.option("--kills", type=click.IntRange(0), default=12, show_default=True, help="Of each kind.")
@click.option("--seed", default=1, show_default=True, help="Of the rows and the kills.")
@click.option("--chunk-rows", type=click.IntRange(1), default=100_000, show_default=True, help="Ids of a chunk.")
@click.option("--inserts", type=click.IntRange(6), default=2400, show_default=True, help="Of crawlers, in each way.")
@click.option("--turns", type=click.IntRange(1), default=3, show_default=True, help="In which they are made.")
@click.option("--new-rows", type=click.IntRange(2), default=_NEW_ROWS, show_default=True, help="Of a day.")
@click.option("--steps", help=f"Only these: {','.join(STEPS)}; or report. They take up what is in --dir.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Keeps the servers' data there.")
@click.option("--docs", type=click.Path(path_type=Path), default=_ROOT / "docs", help="Where benchmarks.md is.")
@click.option("--fast", is_flag=True, help="Without durability: shows that it works, measures nothing.")
def migration(steps: str | None, folder: Path | None, docs: Path, fast: bool, **sizes: Any) -> None:
    """Move an old database over under fire, measure what that costs, and write the section of docs/benchmarks.md.

    Exits with 1 if a row is missing, double or different, or a worker gave up.

    \b
    Examples:
      make migration                                        # 20 million rows: an hour, 35 GB of disk
      make migration ARGS="--rows 500000"
      make migration ARGS="--dir /data/rehearsal"           # keeps the data
      make migration ARGS="--dir /data/rehearsal --steps nightly"
      make migration ARGS="--dir /data/rehearsal --steps report"   # write the section again
    """
    all_sizes = Sizes(**sizes, slice_rows=sizes["rows"] // 10)
    with _kept(folder) as place:
        figures = _Figures(place / "figures")
        if wanted := [name for name in STEPS if steps is None or name in steps.split(",")]:
            with opened(place, click.echo, fast=fast) as servers:
                for name in wanted:
                    click.echo(name)
                    figures.keep(name, STEPS[name](servers, all_sizes, click.echo))
        text, is_whole = shown.section(figures.read)
        sections.write(docs / "benchmarks.md", "make migration", text)
        click.echo(text)
    raise SystemExit(0 if is_whole else 1)


@contextlib.contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.absolute()
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)


@dataclass(frozen=True)
class _Figures:
    """What each step has found: a step of a later run replaces its own."""

    folder: Path

    def keep(self, step: str, found: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{step}.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))

    def read(self, step: str, kind: Any) -> Any:
        """None if the step has not run."""
        path = self.folder / f"{step}.json"
        return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None


if __name__ == "__main__":
    migration()
