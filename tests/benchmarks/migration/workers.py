"""Commands of `gcc-platform migration` as processes of their own, and what they have cost."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.processes import peak_megabytes

TABLES = ("profile_log", "post_log")
"""The two large ones. The others are brought with them."""

CLIENT = "client"

_PROGRAM = Path(sys.executable).with_name("gcc-platform")
_LATEST_SECONDS = 7200
_LAST_LINES = 30


class Worker:
    """A process that brings chunks."""

    def __init__(self, servers: Servers, chunk_rows: int, *options: str) -> None:
        self.options = options
        self._environment = {**servers.environment, "GCC_MIGRATION_CHUNK_ROWS": str(chunk_rows)}
        self._servers = servers
        self._log = servers.folder / "workers.log"
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [_PROGRAM, "migration", "backfill", *self.options],
                cwd=self._servers.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    @property
    def last_lines(self) -> str:
        """What the workers have written last."""
        return "\n".join(self._log.read_text().splitlines()[-_LAST_LINES:])

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """A new process in place of one that has ended."""
        self.process.wait()
        self.process = self._start()

    def stop(self) -> None:
        """SIGTERM, after which another one goes on."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=60)


@contextmanager
def working(servers: Servers, count: int, chunk_rows: int, *options: str) -> Iterator[list[Worker]]:
    """Processes of one worker each, stopped at the end."""
    workers = [Worker(servers, chunk_rows, *options) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()


@dataclass(frozen=True)
class Finished:
    """A command that has run to its end."""

    code: int
    output: str
    seconds: float
    cpu: dict[str, float]
    """Seconds by server, and of the process itself."""
    megabytes: float
    """The most it had in memory."""


def run(servers: Servers, chunk_rows: int, *arguments: str) -> Finished:
    """Run `gcc-platform migration` to its end."""
    before, own, began = servers.cpu(), _seconds_of_children(), time.monotonic()
    process = subprocess.Popen(
        [_PROGRAM, "migration", *arguments],
        cwd=servers.folder,
        env={**servers.environment, "GCC_MIGRATION_CHUNK_ROWS": str(chunk_rows)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, megabytes = _read(process)
    seconds, after = time.monotonic() - began, servers.cpu()
    spent = {name: after[name] - before[name] for name in after} | {CLIENT: _seconds_of_children() - own}
    return Finished(process.returncode, output, seconds, spent, megabytes)


def _read(process: "subprocess.Popen[str]") -> tuple[str, float]:
    """Its output, and the most it had in memory: that goes with the process."""
    deadline, most = time.monotonic() + _LATEST_SECONDS, 0.0
    while True:
        try:
            output, _ = process.communicate(timeout=0.1)
        except subprocess.TimeoutExpired:
            most = max(most, peak_megabytes(process.pid))
            if time.monotonic() > deadline:
                process.kill()
                raise
        else:
            return output, most


def _seconds_of_children() -> float:
    """CPU of all processes that were started here and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
