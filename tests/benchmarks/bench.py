"""What every measurement has: servers of its own with fsync on, and a look at what has become durable."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.server import Server
from gcc_platform.local_stack.stack import Stack
from tests.benchmarks.events import TABLES
from tests.benchmarks.processes import Meter
from tests.harness import emptied
from tests.harness.running import Service, eventually, query, run, service

_NAMES = ", ".join(f"'{table.partition('.')[2]}'" for table in TABLES)
DEFAULT_TIMERS = {"GCC_FLUSH_SECONDS": "5", "GCC_RETRY_MOST_SECONDS": "30"}
"""The tests' service has shorter ones."""
_LATEST_SECONDS = 1_800
_POLL_SECONDS = 0.1
"""Each look costs ClickHouse some milliseconds."""
_IDLE_SHARE = 0.15
"""Of one core, all servers together."""
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bench:
    """The running servers."""

    environment: Mapping[str, str]
    folder: Path
    _stack: Stack

    @property
    def pids(self) -> dict[str, int]:
        """By name: RabbitMQ, ClickHouse, PostgreSQL."""
        pids = {name: server.process.pid() for name, server in self._servers().items()}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def cool(self, name: str) -> None:
        """Restart a server, with none of its files left in the page cache."""
        server = self._servers()[name]
        server.stop()
        os.sync()
        for file in filter(Path.is_file, server.directory.rglob("*")):
            _evict(file)
        server.start(threading.Event())

    def server(self, name: str) -> Server:
        """One of them."""
        return self._servers()[name]

    def _servers(self) -> dict[str, Server]:
        return {server.name: server for server in self._stack._servers}

    def sql(self, statement: str) -> str:
        """An answer of ClickHouse, as the ingest service's user."""
        return query(self.environment["CLICKHOUSE_URL"], statement, 600)

    def landed(self) -> dict[str, int]:
        """Rows by raw table: what the server knows without reading any."""
        answer = self.sql(
            "SELECT name, total_rows FROM system.tables "
            f"WHERE database = '_e' AND name IN ({_NAMES}) FORMAT JSONCompactEachRow"
        )
        return {name: int(rows or 0) for name, rows in map(json.loads, answer.splitlines())}

    def wait_landed(self, count: int) -> None:
        """Until so many rows are durable. Raises TimeoutError."""
        deadline = time.monotonic() + _LATEST_SECONDS
        while sum(self.landed().values()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.landed()} of {count} rows")
            time.sleep(_POLL_SECONDS)

    def wait_at_rest(self) -> None:
        """Until no server works on anything any more: what the last measurement left, or the load for the next.

        A quorum queue goes on writing for seconds after its last confirm. Raises TimeoutError.
        """
        deadline = time.monotonic() + _LATEST_SECONDS
        while True:
            meter = Meter(self.pids)
            time.sleep(1)
            if sum(meter.seconds().values()) < _IDLE_SHARE:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"still at work: {meter.seconds()}")

    def wait_merged(self) -> None:
        """Until ClickHouse merges nothing any more."""
        eventually(lambda: self.sql("SELECT count() FROM system.merges").strip() == "0", 600, "merges at rest")

    def empty(self) -> None:
        """No message, no row."""
        emptied.empty(self.environment)

    @contextmanager
    def service(self, **settings: str) -> Iterator[Service]:
        """The service as `gcc-ingest run`, just started. Its log is its own: what it says is of this run."""
        with service(self.environment, Path(tempfile.mkdtemp(dir=self.folder)), **settings) as running:
            yield running

    def consume(self, kind: str, count: int) -> tuple[float, float]:
        """Run a consumer of consumers.py to its end; its seconds, and those of its CPU."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.consumers", kind, str(count)],
            env={**os.environ, **self.environment},
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=_LATEST_SECONDS,
        )
        seconds, cpu = map(float, done.stdout.split())
        return seconds, cpu


@contextmanager
def opened(folder: Path, say: Callable[[str], None]) -> Iterator[Bench]:
    """Servers with production's durability, stopped at the end."""
    stack = Stack(folder, Ports.free(), fast=False)
    environment = stack.start(say)
    try:
        done = run(environment, "init")
        assert done.returncode == 0, done.stderr.decode()
        yield Bench(environment, folder, stack)
    finally:
        stack.stop()


def _evict(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
