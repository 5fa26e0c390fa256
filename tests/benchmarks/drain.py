"""How fast full queues are emptied until every row is durable, and what that costs whom."""

import asyncio
import time
from dataclasses import dataclass
from itertools import count as numbers

from ingest_service.clickhouse import client as clickhouse
from ingest_service.events.registry import EVENT_TYPES
from tests.benchmarks.bench import Bench
from tests.benchmarks.events import by_type, mixed, parts
from tests.benchmarks.load import publish
from tests.benchmarks.processes import Meter, peak_megabytes
from tests.harness.running import Service, eventually

SETTINGS = {"GCC_FLUSH_SECONDS": "0.5"}
"""What is left in the end, fewer than 1,000 rows of each type, waits so long."""
_NAIVE_LEAVES = 1_000 * len(EVENT_TYPES)
"""The naive consumer inserts by the thousand; its last messages never make one."""
_ROWS = 10_000
_AT_A_TIME = 2
_number = numbers()


@dataclass(frozen=True)
class Drained:
    """One drain. `cpu` is in seconds by process, over all of it."""

    events: int
    seconds: float
    cpu: dict[str, float]
    megabytes: float | None = None
    inserts: int | None = None

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def cpu_per_million(self) -> dict[str, float]:
        """CPU seconds by process."""
        return {name: seconds / self.events * 1e6 for name, seconds in self.cpu.items()}


def by_service(bench: Bench, count: int, **settings: str) -> Drained:
    """The service, started on full queues; the clock runs from when it is connected to the broker."""
    fill(bench, count)
    meter = Meter(dict(bench.pids))
    with bench.service(**SETTINGS, **settings) as service:
        _wait_connected(service)
        own, began = Meter({"consumer": service.process.pid}), time.monotonic()
        bench.wait_landed(count)
        seconds, cpu = time.monotonic() - began, {**meter.seconds(), **own.seconds()}
        megabytes = peak_megabytes(service.process.pid)
    return Drained(count, seconds, cpu, megabytes, int(bench.sql("SELECT count() FROM _e.ingest_batches")))


def by_discarding(bench: Bench, count: int) -> Drained:
    """The broker's limit."""
    return _by_process(bench, "discard", count, count)


def by_naive(bench: Bench, count: int) -> Drained:
    """What one writes first."""
    return _by_process(bench, "naive", count, count - _NAIVE_LEAVES)


def by_clickhouse_alone(bench: Bench, count: int) -> Drained:
    """ClickHouse's limit: the same bodies, joined beforehand, in batches as the service's largest."""
    bench.empty()
    bench.wait_at_rest()
    return asyncio.run(_insert_all(bench, count))


def fill(bench: Bench, count: int) -> None:
    """Nothing in the tables, so many events in the queues, and the broker done with them."""
    bench.empty()
    for part in parts(count):
        asyncio.run(publish(bench.environment["AMQP_URL"], part))
    bench.wait_at_rest()


def _by_process(bench: Bench, kind: str, published: int, counted: int) -> Drained:
    fill(bench, published)
    meter = Meter(dict(bench.pids))
    seconds, own = bench.consume(kind, counted)
    return Drained(counted, seconds, {**meter.seconds(), "consumer": own})


async def _insert_all(bench: Bench, count: int) -> Drained:
    batches = [
        (EVENT_TYPES[name].table, b"\n".join(bodies[at : at + _ROWS]))
        for name, bodies in by_type(mixed(count)).items()
        for at in range(0, len(bodies), _ROWS)
    ]
    few = asyncio.Semaphore(_AT_A_TIME)
    async with clickhouse.connected(bench.environment["CLICKHOUSE_URL"], 120) as server:
        await server.ping()

        async def insert(table: str, body: bytes) -> None:
            async with few:
                await server.insert(table, body.splitlines(), f"alone-{next(_number)}", {})

        meter, began = Meter(dict(bench.pids)), time.monotonic()
        await asyncio.gather(*(insert(*each) for each in batches))
        return Drained(count, time.monotonic() - began, meter.seconds(), inserts=len(batches))


def _wait_connected(service: Service) -> None:
    log = service.log
    eventually(lambda: log.exists() and "connected to the broker" in log.read_text(), what="connected")
