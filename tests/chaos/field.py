"""The field of battle: a broker, a ClickHouse and the service of their own, with a proxy on each of its two ways."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.rabbitmq import RabbitMQ
from gcc_platform.local_stack.server import Server
from tests.ingest_service.proxy import Proxy
from tests.ingest_service.running import Service, query, run

# Short, so that a run has many batches and many retries; a lease is held long enough to be lost to faults only.
_SERVICE = {
    "GCC_FLUSH_SECONDS": "0.3",
    "GCC_FLUSH_ROWS": "500",
    "GCC_PREFETCH": "2000",
    "GCC_RETRY_FIRST_SECONDS": "0.05",
    "GCC_RETRY_MOST_SECONDS": "0.5",
    "GCC_INSERT_TIMEOUT_SECONDS": "10",
    "GCC_LOG_FORMAT": "json",
}


class ChangeableClickHouse(ClickHouse):
    """Starts with a file of its configuration changed as a fault wants it."""

    change: tuple[str, Callable[[str], str]] | None = None

    def prepare(self) -> None:
        super().prepare()
        if self.change is not None:
            name, change = self.change
            file = self.directory / name
            file.write_text(change(file.read_text()))


class Field:
    """Everything that a fault may strike."""

    def __init__(self, directory: Path) -> None:
        ports, password = Ports.free(), "chaos"
        self.broker = RabbitMQ(directory / "rabbitmq", ports, dict.fromkeys(RabbitMQ.users, password), fast=True)
        self.clickhouse = ChangeableClickHouse(
            directory / "clickhouse", ports, dict.fromkeys(ClickHouse.users, password), fast=True
        )
        self.environment: Mapping[str, str] = {
            **self.broker.environment(),
            **self.clickhouse.environment(),
            "GCC_LOCAL_DIR": str(directory),
        }
        self.broker_way = _way(self.environment["AMQP_URL"])
        self.clickhouse_way = _way(self.environment["CLICKHOUSE_URL"])
        self._directory = directory
        self._service: Service | None = None

    @property
    def service(self) -> Service:
        """The running service."""
        assert self._service is not None
        return self._service

    def open(self) -> None:
        """Start all of it."""
        for server in (self.clickhouse, self.broker):
            self.start(server)
        assert run(self.environment, "init").returncode == 0
        self.broker_way.open()
        self.clickhouse_way.open()
        ways = {
            "AMQP_URL": _through(self.broker_way, self.environment["AMQP_URL"]) + "?heartbeat=2",
            "CLICKHOUSE_URL": _through(self.clickhouse_way, self.environment["CLICKHOUSE_URL"]),
        }
        self._service = Service({**self.environment, **_SERVICE, **ways}, self._directory / "service.log")
        self.service.wait_ready()

    def close(self) -> None:
        """Stop all of it, whatever state it is in."""
        if self._service is not None:
            with self._service:
                pass
        for server in (self.broker, self.clickhouse):
            pid = server.process.pid()
            if pid is not None:
                os.killpg(pid, signal.SIGCONT)
            server.stop()
        for way in (self.broker_way, self.clickhouse_way):
            way.resume()
            way.close()

    def start(self, server: Server) -> None:
        """Start a server with the data it has, and wait for it."""
        server.start(threading.Event())

    def kill(self, server: Server) -> None:
        """SIGKILL, to all of its processes."""
        pid = server.process.pid()
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        while server.process.running():
            time.sleep(0.01)
        server.stop()  # what it leaves behind, as RabbitMQ's epmd

    def sql(self, statement: str) -> str:
        """Run a statement, past the proxy."""
        return query(self.environment["CLICKHOUSE_URL"], statement)


@contextmanager
def opened(directory: Path) -> Iterator[Field]:
    """A field, closed at the end."""
    field = Field(directory)
    try:
        field.open()
        yield field
    finally:
        field.close()


def _way(url: str) -> Proxy:
    parts = urlsplit(url)
    return Proxy(parts.hostname or "", parts.port or 0)


def _through(proxy: Proxy, url: str) -> str:
    return url.replace(f":{urlsplit(url).port}", f":{proxy.port}")
