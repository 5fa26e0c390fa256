"""The field of battle: a broker, a ClickHouse and the service of their own, with a proxy on each of its two ways."""

import base64
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.rabbitmq import RabbitMQ
from gcc_platform.local_stack.server import Server
from tests.chaos.tmpfs import Tmpfs
from tests.harness.lying_front import Lie, LyingFront
from tests.harness.proxy import Proxy
from tests.harness.running import Service, query, run

_RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"

# Short, so that a run has many batches and many retries; a lease is held long enough to be lost to faults only.
_SERVICE = {
    "GCC_FLUSH_SECONDS": "0.3",
    "GCC_FLUSH_ROWS": "500",
    "GCC_PREFETCH": "2000",
    "GCC_RETRY_FIRST_SECONDS": "0.05",
    "GCC_RETRY_MOST_SECONDS": "0.5",
    "GCC_INSERT_TIMEOUT_SECONDS": "10",
    "GCC_LOG_FORMAT": "json",
    "GCC_EVENT_AHEAD_SECONDS": "86400",  # a service whose clock is an hour behind would refuse every event
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
    """Everything that a fault may strike. `more` is the service's environment besides.

    With a disk of its own, ClickHouse's can be filled.
    """

    def __init__(self, directory: Path, own_disk: bool = False, **more: str) -> None:
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
        self.clickhouse_disk = Tmpfs(directory / "clickhouse" / "data")
        self._directory = directory
        self._own_disk = own_disk
        self._more = more
        self._service: Service | None = None
        self._front: LyingFront | None = None

    @property
    def service(self) -> Service:
        """The running service."""
        assert self._service is not None
        return self._service

    @property
    def front(self) -> LyingFront:
        """The front before ClickHouse that was put there."""
        assert self._front is not None
        return self._front

    def open(self) -> None:
        """Start all of it."""
        if self._own_disk:
            self.clickhouse_disk.mount()
        for server in (self.clickhouse, self.broker):
            self.start(server)
        assert run(self.environment, "init").returncode == 0
        self.broker_way.open()
        self.clickhouse_way.open()
        ways = {
            "AMQP_URL": _through(self.broker_way, self.environment["AMQP_URL"]) + "?heartbeat=2",
            "CLICKHOUSE_URL": _through(self.clickhouse_way, self.environment["CLICKHOUSE_URL"]),
        }
        self._service = Service({**self.environment, **_SERVICE, **self._more, **ways}, self._directory / "service.log")
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
        if self._front is not None:
            self.take_the_front_away()
        self.clickhouse_disk.unmount()

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

    def put_a_front_before_clickhouse(self, lie: Lie) -> None:
        """From now on the service's way to ClickHouse leads through a front that lies."""
        self._front = LyingFront("127.0.0.1", self.clickhouse.ports.clickhouse_http, lie)
        self._front.__enter__()
        self.clickhouse_way.lead_to("127.0.0.1", self._front.port)

    def take_the_front_away(self) -> None:
        """The way leads to ClickHouse again."""
        self.clickhouse_way.lead_to("127.0.0.1", self.clickhouse.ports.clickhouse_http)
        self.front.__exit__(None, None, None)
        self._front = None

    def rabbitmqctl(self, *arguments: str) -> str:
        """Tell the broker's node something; what it answers."""
        home = self.broker.directory
        environment = {
            **os.environ,
            "HOME": str(home / "home"),
            "ERL_EPMD_PORT": (home / "epmd.port").read_text().strip(),
            "RABBITMQ_CONF_ENV_FILE": str(home / "no-rabbitmq-env.conf"),
        }
        done = subprocess.run(
            [_RABBITMQCTL, "--node", "gcc@localhost", "--quiet", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def management(self, method: str, path: str, what: object = None, password: str | None = None) -> None:
        """Ask something of the broker's management plugin."""
        parts = urlsplit(self.environment["RABBITMQ_MANAGEMENT_URL"])
        url = f"http://{parts.hostname}:{parts.port}/api/{path}"
        request = urllib.request.Request(url, json.dumps(what).encode() if what else None, method=method)
        request.add_header("Content-Type", "application/json")
        login = base64.b64encode(f"gcc:{password or parts.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def sql(self, statement: str) -> str:
        """Run a statement, past the proxy."""
        return query(self.environment["CLICKHOUSE_URL"], statement)


@contextmanager
def opened(directory: Path, own_disk: bool = False, **more: str) -> Iterator[Field]:
    """A field, closed at the end; see Field."""
    field = Field(directory, own_disk, **more)
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
