"""The old PostgreSQL and the platform's servers, in a folder that may be kept: started, killed, and started again."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import SUPERUSER, Postgres
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server
from gcc_platform.local_stack.state import State
from ingest_service.clickhouse.client import connected
from ingest_service.schema.apply import apply
from tests.benchmarks.processes import cpu_seconds, tree
from tests.conftest import NAMES
from tests.harness.running import eventually, query

_OLD_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "effective_cache_size": "8GB",
    "maintenance_work_mem": "512MB",
    "random_page_cost": "1.1",
}
"""Of a production server of this size, durability included. What is not named is PostgreSQL's default."""

OLD, STATE, CLICKHOUSE = "old PostgreSQL", "state PostgreSQL", "ClickHouse"


class OldPostgres(Postgres):
    """The company's database."""

    def command(self) -> Command:
        """The same server with a production's settings."""
        plain = super().command()
        options = [part for name, value in _OLD_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return Command([*plain.argv, *options], plain.environment)


@dataclass(frozen=True)
class Servers:
    """The running servers, by name."""

    folder: Path
    by_name: Mapping[str, Server]

    @property
    def old_url(self) -> str:
        """The old database, as its owner."""
        old = self.by_name[OLD]
        return old.url("postgresql", SUPERUSER, old.ports.postgres, "/gcc")

    @property
    def environment(self) -> dict[str, str]:
        """What the commands of a migration need, and nothing of the servers that our own environment names."""
        outside = {name: value for name, value in os.environ.items() if name not in NAMES}
        own = self.by_name[CLICKHOUSE].environment() | self.by_name[STATE].environment()
        return {**outside, **own, "GCC_LEGACY_URL": self.old_url}

    def sql(self, statement: str) -> str:
        """An answer of ClickHouse, as the ingest service's user."""
        return query(self.environment["CLICKHOUSE_URL"], statement, 1800).strip()

    def pid(self, name: str) -> int:
        """The process of a server."""
        pid = self.by_name[name].process.pid()
        assert pid is not None, f"{name} is not running"
        return pid

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each server and its children since it was started."""
        return {name: cpu_seconds(self.pid(name)) for name in self.by_name}

    def kill(self, name: str) -> None:
        """SIGKILL a server and all its children: PostgreSQL's are in sessions of their own."""
        pids = tree(self.pid(name))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(_is_alive, pids)), 60, f"{name} has ended")

    def start(self, name: str) -> None:
        """Start a server on its data, and wait until clients can work."""
        server = self.by_name[name]
        server.stop()  # reaps what was killed
        server.start(threading.Event())

    def wait_merged(self) -> None:
        """Until ClickHouse merges nothing any more."""
        eventually(lambda: self.sql("SELECT count() FROM system.merges") == "0", 1800, "merges at rest")


@contextmanager
def opened(folder: Path, say: Callable[[str], None], *, fast: bool = False) -> Iterator[Servers]:
    """The servers of a folder, new or with the data that an earlier run left, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    servers = Servers(folder, _made(folder, fast=fast))
    try:
        for name in servers.by_name:
            servers.start(name)
            say(f"{name} is ready")
        asyncio.run(_create_raw_tables(servers.environment["CLICKHOUSE_URL"]))
        yield servers
    finally:
        for server in servers.by_name.values():
            server.stop()


def _made(folder: Path, *, fast: bool) -> dict[str, Server]:
    state = State.load(folder / "stack.json")
    platform = Ports.free()
    ports: dict[str, tuple[type[Server], Ports]] = {
        OLD: (OldPostgres, Ports.free()),
        STATE: (Postgres, platform),
        CLICKHOUSE: (ClickHouse, platform),
    }
    made = {
        name: kind(folder / name.replace(" ", "_").lower(), each, state.passwords_for(name, kind.users), fast=fast)
        for name, (kind, each) in ports.items()
    }
    state.save(folder / "stack.json")
    return made


async def _create_raw_tables(url: str) -> None:
    async with connected(url, 60) as clickhouse:
        await apply(clickhouse)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
