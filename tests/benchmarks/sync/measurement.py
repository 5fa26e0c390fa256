"""All that `make bench ARGS=sync` measures, in order, on the warehouse of 10 million events that dbt builds."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.benchmarks import crawls
from tests.benchmarks.bench import Bench
from tests.benchmarks.sync import all_marts, copying
from tests.benchmarks.sync.all_marts import Equality, Round
from tests.benchmarks.sync.copying import Comparison
from tests.benchmarks.sync.refreshing import Refreshed, refresh
from tests.dbt_project import dbt

_BUILD = ("build", "--exclude-resource-type", "unit_test")


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything."""

    history: int = 10_000_000
    new: int = 100_000
    copied: int = 2_000_000
    rounds: int = 3


QUICK = Sizes(history=20_000, new=1_000, copied=5_000, rounds=1)


class Measurement(msgspec.Struct, frozen=True):
    """Of one state of the code."""

    code: str
    """What was measured, e.g. a commit."""
    at: str
    sizes: Sizes
    first: Refreshed
    """The refresh that builds and copies everything."""
    idle: Refreshed
    """With nothing new."""
    later: Refreshed
    """After the new events."""
    idle_syncs: Round
    """Each key range was compared before, as six hours after a full copy."""
    later_syncs: Round
    """After as many new events again, and dbt."""
    equality: list[Equality]
    """Of the marts that were upserted by then."""
    comparison: Comparison | None = None


def measure(bench: Bench, sizes: Sizes, code: str, say: Callable[[str], None]) -> Measurement:
    """Measure all but the comparison with other ways, on empty servers."""
    bench.empty()
    step = sizes.history // 20
    for first in range(0, sizes.history, step):
        crawls.insert(bench, first, step, sizes.history)
    bench.wait_merged()
    say(f"  {sizes.history:,} events")
    first_refresh = _refreshed(bench, "the first refresh", say)
    idle = _refreshed(bench, "a refresh with nothing new", say)
    marts = all_marts.marts()
    all_marts.prove_all(bench, marts, say)
    idle_syncs = _synced(bench, "all syncs with nothing new", say)
    crawls.insert(bench, sizes.history, sizes.new, sizes.history, now=True)
    later = _refreshed(bench, f"a refresh after {sizes.new:,} events", say)
    crawls.insert(bench, sizes.history + sizes.new, sizes.new, sizes.history, now=True)
    _build(bench)
    later_syncs = _synced(bench, f"all syncs after {sizes.new:,} events", say)
    equality = all_marts.compare(bench, all_marts.upserted(later_syncs, marts), say)
    at = f"{datetime.now(UTC):%Y-%m-%d}"
    return Measurement(code, at, sizes, first_refresh, idle, later, idle_syncs, later_syncs, equality)


def compared(bench: Bench, found: Measurement, say: Callable[[str], None]) -> Measurement:
    """The same with the comparison, on the same servers."""
    comparison = copying.compare(bench, found.sizes.copied, found.sizes.rounds, say)
    return msgspec.structs.replace(found, comparison=comparison)


def _refreshed(bench: Bench, what: str, say: Callable[[str], None]) -> Refreshed:
    bench.wait_merged()
    found = refresh(bench)
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.parts.items())
    say(
        f"  {what}: {found.cost.seconds:.1f} s ({parts}), {found.cost.wal_bytes / 1e6:,.0f} MB of WAL, "
        f"{found.modes}, CPU {_cpu(found.cost.cpu)}, load {found.cost.load:.1f}"
    )
    return found


def _synced(bench: Bench, what: str, say: Callable[[str], None]) -> Round:
    bench.wait_merged()
    found = all_marts.sync_all(bench, all_marts.marts())
    say(
        f"  {what}: {found.cost.seconds:.1f} s, {found.cost.wal_bytes / 1e6:,.1f} MB of WAL, "
        f"CPU {_cpu(found.cost.cpu)}, load {found.cost.load:.1f}"
    )
    for each in found.marts:
        say(f"    {each.mart}: {each.mode}, {each.rows:,} rows, {each.seconds:.2f} s, {each.wal_bytes / 1e6:,.1f} MB")
    return found


def _cpu(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())


def _build(bench: Bench) -> None:
    """What dbt does in a refresh."""
    outcomes = dbt.run(bench.environment, bench.folder, *_BUILD)
    failed = [name for name, status in outcomes.items() if status not in {"success", "pass", "warn", "no-op"}]
    if failed:
        raise RuntimeError(f"dbt failed at {failed}")


def kept(path: Path) -> Measurement | None:
    """A measurement that was written to a file; None if there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Measurement) if path.exists() else None


def keep(path: Path, found: Measurement) -> None:
    """Write it to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
