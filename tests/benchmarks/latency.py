"""How long from a confirmed publish until the row can be read, at a steady rate."""

import bisect
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest_service.events.registry import EVENT_TYPES
from tests.benchmarks.bench import Bench
from tests.benchmarks.events import mixed
from tests.benchmarks.processes import Meter

_POLL_SECONDS = 0.1
"""Each look costs ClickHouse some milliseconds."""
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Latency:
    """Seconds from confirmed to visible, and the rate that was held."""

    asked: int
    held: float
    p50: float
    p99: float
    most: float
    cpu: dict[str, float]
    """Seconds by process per million events."""


def measure(bench: Bench, rate: int, seconds: int, **settings: str) -> Latency:
    """Publish at a rate from a process of its own, and look at the row counts meanwhile.

    Each table's n-th confirmed event counts as visible when the table has n rows: with every event there once, the sum
    of all waits is the same whichever row came first.
    """
    count = rate * seconds
    _prepare(bench, count)
    seen: list[tuple[float, dict[str, int]]] = []
    with bench.service(**settings) as service:
        service.wait_ready()
        load = _load(bench, str(rate))
        meter = Meter({**bench.pids, "consumer": service.process.pid, "publisher": load.pid})
        deadline = time.monotonic() + seconds * 4 + 60
        while True:
            landed = bench.landed()
            seen.append((time.time(), landed))
            if sum(landed.values()) >= count:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sum(landed.values())} of {count} rows")
            time.sleep(_POLL_SECONDS)
        cpu = meter.seconds()
        assert load.wait(60) == 0
    confirmed = _moments(bench)
    waits = sorted(_waits(count, confirmed, seen))
    return Latency(
        rate, count / (confirmed[-1] - confirmed[0]), waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1],
        {name: used / count * 1e6 for name, used in cpu.items()},
    )  # fmt: skip


def publishing_alone(bench: Bench, count: int) -> float:
    """Events a second that the broker confirms while nobody consumes: no rate above it can be held."""
    _prepare(bench, count)
    assert _load(bench, "unlimited").wait(600) == 0
    confirmed = _moments(bench)
    return count / (confirmed[-1] - confirmed[0])


def _prepare(bench: Bench, count: int) -> None:
    bench.empty()
    (bench.folder / "events").write_bytes(msgspec.msgpack.encode(mixed(count)))
    bench.wait_at_rest()


def _load(bench: Bench, rate: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.load", bench.folder / "events", rate, bench.folder / "moments"],
        env={**os.environ, **bench.environment},
        cwd=_ROOT,
    )


def _moments(bench: Bench) -> list[float]:
    return msgspec.json.decode((bench.folder / "moments").read_bytes(), type=list[float])


def _waits(count: int, confirmed: list[float], seen: list[tuple[float, dict[str, int]]]) -> list[float]:
    table = {name: each.table.partition(".")[2] for name, each in EVENT_TYPES.items()}
    counts = {name: [landed[table[name]] for _, landed in seen] for name in EVENT_TYPES}
    nth = dict.fromkeys(EVENT_TYPES, 0)
    waits = []
    for (name, _), moment in zip(mixed(count), confirmed, strict=True):
        nth[name] += 1
        waits.append(seen[bisect.bisect_left(counts[name], nth[name])][0] - moment)
    return waits
