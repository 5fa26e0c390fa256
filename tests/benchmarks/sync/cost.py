"""What a piece of work has cost: seconds, CPU of each process, WAL, and how busy the machine was."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from tests.benchmarks.bench import Bench
from tests.benchmarks.processes import Meter
from tests.benchmarks.sync import wal

CLIENT = "client"


class Cost(msgspec.Struct, frozen=True):
    """Of one piece of work."""

    seconds: float
    cpu: dict[str, float]
    """Seconds of ClickHouse, PostgreSQL, and the client: this process and those it has started and waited for."""
    wal_bytes: int
    load: float
    """Processes that wanted a core, on average over the last minute."""


@dataclass
class Measured:
    """Has the cost when the work is done."""

    costs: list[Cost] = field(default_factory=list)

    @property
    def cost(self) -> Cost:
        """Of the work."""
        [cost] = self.costs
        return cost


@contextmanager
def measured(bench: Bench) -> Iterator[Measured]:
    """Measure what is done inside."""
    result, url = Measured(), bench.environment["POSTGRES_URL"]
    meter, own, began_at, began = Meter(bench.pids), _client_seconds(), wal.position(url), time.monotonic()
    yield result
    seconds, servers = time.monotonic() - began, meter.seconds()
    cpu = {name: servers[name] for name in ("ClickHouse", "PostgreSQL")} | {CLIENT: _client_seconds() - own}
    result.costs.append(Cost(seconds, cpu, wal.position(url) - began_at, os.getloadavg()[0]))


def _client_seconds() -> float:
    used = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
