"""make sync-proof."""

import random
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import click
import msgspec

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.stack import Stack
from gcc_platform.sync import key_ranges
from tests.benchmarks import sections
from tests.sync_proof import histories, kills, planted, readers, restart, shown
from tests.sync_proof.killing import Way
from tests.sync_proof.servers import Servers, connected, superuser_url

_ROOT = Path(__file__).parents[2]
_RANGE_ROWS = 100
"""Small marts have several key ranges, as large ones do."""
_SELDOM = 3
"""What is not SIGKILL stops a sync at every third statement."""


@dataclass(frozen=True)
class Proving:
    """The servers and sizes of a run."""

    servers: Servers
    restart_clickhouse: Callable[[], None]
    seed: int
    histories: int
    syncs: int
    refreshes: int
    kills: int
    planted: int
    large: int
    every: int
    keep: Callable[[str, Any], None]
    """Writes what a step has found so far."""


Step = Callable[[Proving, Callable[[str], None]], Any]


def _histories(at: Proving, say: Callable[[str], None]) -> list[histories.History]:
    seeds = range(at.seed, at.seed + at.histories)
    return [histories.run(at.servers, seed, at.syncs, say) for seed in seeds]


def _kills(at: Proving, say: Callable[[str], None]) -> list[kills.Killed]:
    found = []
    for way, scenario in product(Way, kills.SCENARIOS):
        step = at.every if "SIGKILL" in way.value else at.every * _SELDOM
        found.append(kills.run(at.servers, scenario, way, at.seed, say, step))
        at.keep("kills", found)
    return found


def _restarts(at: Proving, say: Callable[[str], None]) -> dict[str, int]:
    return {
        f"{inserts} inserts": restart.run(at.servers, at.restart_clickhouse, at.seed, inserts, say)
        for inserts in (1, 12)
    }


def _readers(at: Proving, say: Callable[[str], None]) -> readers.Read:
    return readers.run(at.servers, at.seed, at.refreshes, at.kills, readers.SCHEMA_CHANGES, say)


def _planted(at: Proving, say: Callable[[str], None]) -> list[planted.Gone]:
    return planted.run(at.servers, at.seed, at.planted, at.large, at.large // 60, say)


STEPS: Mapping[str, Step] = {
    "histories": _histories,
    "restart": _restarts,
    "readers": _readers,
    "planted": _planted,
    "kills": _kills,
}


@click.command()
@click.option("--histories", type=click.IntRange(1), default=20, show_default=True, help="Random ones.")
@click.option("--syncs", type=click.IntRange(1), default=10, show_default=True, help="Of each, at least.")
@click.option("--refreshes", type=click.IntRange(1), default=50, show_default=True, help="While readers read.")
@click.option("--kills", type=click.IntRange(0), default=5, show_default=True, help="While readers read.")
@click.option("--planted", type=click.IntRange(4), default=500, show_default=True, help="Changes by hand.")
@click.option("--large", type=click.IntRange(60), default=120_000, show_default=True, help="Rows of the large mart.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Statement at which one is killed.")
@click.option("--seed", type=int, help="Of all of it; by default another one each time.")
@click.option("--steps", help=f"Only these: {','.join(STEPS)}; or report.")
@click.option(
    "--results", type=click.Path(path_type=Path), default=_ROOT / ".bench" / "sync_proof", help="Of the steps."
)
@click.option("--docs", type=click.Path(path_type=Path), default=_ROOT / "docs", help="Where benchmarks.md is.")
def sync_proof(steps: str | None, results: Path, docs: Path, seed: int | None, **sizes: int) -> None:
    """Try to make PostgreSQL serve something else than the marts, and write the section of docs/benchmarks.md.

    Exits with 1 if that succeeds: with the seed and what was done before.

    \b
    Examples:
      make sync-proof                                       # all of it: about an hour
      make sync-proof ARGS="--steps histories --seed 5"     # one history again, among others
      make sync-proof ARGS="--steps report"                 # write the section again
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    wanted = [name for name in STEPS if steps is None or name in steps.split(",")]
    if wanted:
        _run(wanted, seed, results, sizes)
    text, holds = shown.section(lambda step, kind: _read(results, step, kind))
    sections.write(docs / "benchmarks.md", "make sync-proof", text)
    click.echo(text)
    raise SystemExit(0 if holds else 1)


def _run(wanted: list[str], seed: int, results: Path, sizes: dict[str, int]) -> None:
    key_ranges.LEAST_ROWS = _RANGE_ROWS
    results.mkdir(parents=True, exist_ok=True)

    def keep(name: str, found: Any) -> None:
        (results / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))

    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), Ports.free(), fast=True)
        environment = stack.start(click.echo)
        try:
            with connected(environment, superuser_url(environment, Path(folder))) as servers:
                at = Proving(servers, lambda: _restart(stack), seed, keep=keep, **sizes)
                for name in wanted:
                    click.echo(name)
                    keep(name, STEPS[name](at, click.echo))
        finally:
            stack.stop()


def _restart(stack: Stack) -> None:
    [server] = [each for each in stack._servers if each.name == "ClickHouse"]
    server.stop()
    server.start(threading.Event())


def _read(results: Path, step: str, kind: Any) -> Any:
    path = results / f"{step}.json"
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None


if __name__ == "__main__":
    sync_proof()
