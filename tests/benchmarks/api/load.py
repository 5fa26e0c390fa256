"""Many clients with the API's queries: pgbench, which costs less than the server that it measures.

A client in Python would be a part of what it measures: one that asks 400 times a second takes a fifth of a core. With
--rate, pgbench counts a latency from when a query was due, so that a stalled server is not asked less often.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from gcc_platform.local_stack.postgres import binaries
from tests.benchmarks.api.data import Scale
from tests.benchmarks.api.queries import Query
from tests.benchmarks.bench import Bench
from tests.benchmarks.processes import cpu_seconds


@dataclass(frozen=True)
class Clients:
    """How they ask."""

    number: int = 100
    rate: int = 400
    """Queries a second, of all together; 0: each asks again at once."""
    seconds: int = 30

    @property
    def length(self) -> str:
        """pgbench's option. Its --time includes the time that all connections take."""
        return f"--transactions={self.rate * self.seconds // self.number}" if self.rate else f"--time={self.seconds}"


@dataclass(frozen=True)
class Times:
    """How long each measurement takes."""

    many: Clients = field(default_factory=Clients)
    one: Clients = field(default_factory=lambda: Clients(number=1, rate=0, seconds=2))


QUICK = Times(many=Clients(number=10, rate=100, seconds=2), one=Clients(number=1, rate=20, seconds=1))


@dataclass(frozen=True)
class Asked:
    """What was measured."""

    milliseconds: Mapping[str, Sequence[float]]
    """The latencies of each query by its name, sorted."""
    cores_of_clients: float
    cores_of_server: float

    def all(self) -> Sequence[float]:
        """The latencies of all queries, sorted."""
        return sorted(each for latencies in self.milliseconds.values() for each in latencies)


def quantile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which a share of them lies."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def ask(bench: Bench, queries: Sequence[Query], scale: Scale, clients: Clients) -> Asked:
    """Ask as role api, each query equally often. Raises CalledProcessError if one fails."""
    with TemporaryDirectory(dir=bench.folder) as folder:
        files = [Path(folder) / f"{number}.sql" for number in range(len(queries))]
        for file, query in zip(files, queries, strict=True):
            file.write_text(query.script(scale))
        server, began = bench.pids["PostgreSQL"], time.monotonic()
        before = cpu_seconds(server)
        own = os.times()
        _pgbench(bench, files, Path(folder) / "log", clients)
        took, after = time.monotonic() - began, os.times()
        children = after.children_user + after.children_system - own.children_user - own.children_system
        return Asked(
            _latencies(Path(folder), [query.name for query in queries]),
            children / took,
            (cpu_seconds(server) - before) / took,
        )


def _pgbench(bench: Bench, files: Sequence[Path], log: Path, clients: Clients) -> None:
    url = urlsplit(bench.environment["GCC_READER_POSTGRES_URL"])
    environment = {
        "PGHOST": str(url.hostname),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": unquote(str(url.password)),
        "LD_LIBRARY_PATH": str(binaries().parent / "lib"),
    }
    rate = [f"--rate={clients.rate}"] if clients.rate else []
    subprocess.run(
        [
            str(binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients.number}",
            f"--jobs={min(2, clients.number)}", clients.length, *rate, "--log", f"--log-prefix={log}",
            *(f"--file={file}" for file in files), url.path.lstrip("/"),
        ],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip


def _latencies(folder: Path, names: Sequence[str]) -> Mapping[str, Sequence[float]]:
    """From pgbench's log: client, number, microseconds, script, ..."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for file in folder.glob("log.*"):
        for line in file.read_text().splitlines():
            _, _, microseconds, script, *_ = line.split()
            found[names[int(script)]].append(int(microseconds) / 1000)
    return {name: sorted(latencies) for name, latencies in found.items()}
