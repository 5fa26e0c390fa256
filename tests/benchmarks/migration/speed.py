"""How fast undisturbed workers are, and what a row costs each side."""

import time
from collections.abc import Callable

import msgspec

from tests.benchmarks.migration.progress import Progress, Reader
from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.migration.workers import CLIENT, TABLES, Worker, working
from tests.benchmarks.processes import cpu_seconds, peak_megabytes
from tests.harness.running import eventually


class Speed(msgspec.Struct, frozen=True):
    """Of a slice."""

    workers: int
    rows: int
    seconds: float
    cpu: dict[str, float]
    """Seconds by server, and of the workers."""
    megabytes: float
    """The most that one worker had in memory."""

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    def microseconds(self, name: str) -> float:
        """CPU of a row."""
        return self.cpu[name] / self.rows * 1e6


def measure(servers: Servers, slice_rows: int, chunk_rows: int, say: Callable[[str], None]) -> list[Speed]:
    """A slice by one worker, and one by two."""
    found = [_slice(servers, workers, slice_rows, chunk_rows) for workers in (1, 2)]
    for each in found:
        say(f"  {each.workers} workers: {each.rate:,.0f} rows/s, {each.megabytes:.0f} MB each")
    return found


def _slice(servers: Servers, count: int, slice_rows: int, chunk_rows: int) -> Speed:
    """From the end of a chunk, when all have begun, to the end of another: what is half done costs nothing here."""
    progress = Reader(servers)
    servers.wait_merged()
    with working(servers, count, chunk_rows, *TABLES) as workers:
        before = progress()
        eventually(lambda: progress().done >= before.done + count, 600, "the first chunks are done")
        first, cpu, began = progress(), _cpu(servers, workers), time.monotonic()
        eventually(lambda: _is_enough(progress(), first.rows + slice_rows), 3600, "the slice is done")
        last, spent, seconds = progress(), _cpu(servers, workers), time.monotonic() - began
        most = max(peak_megabytes(worker.process.pid) for worker in workers)
    used = {name: spent[name] - cpu[name] for name in spent}
    return Speed(count, last.rows - first.rows, seconds, used, most)


def _is_enough(now: Progress, rows: int) -> bool:
    return now.rows >= rows or now.is_done


def _cpu(servers: Servers, workers: list[Worker]) -> dict[str, float]:
    return servers.cpu() | {CLIENT: sum(cpu_seconds(worker.process.pid) for worker in workers)}
