"""The servers as one: started together, reused while they run, stopped in the order of the data flow."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from gcc_platform.local_stack.alertmanager import Alertmanager
from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.lock import exclusive
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import Postgres
from gcc_platform.local_stack.private_files import make_private_folder, write_private
from gcc_platform.local_stack.rabbitmq import RabbitMQ
from gcc_platform.local_stack.server import Server
from gcc_platform.local_stack.state import State
from gcc_platform.settings import Settings

SERVERS: tuple[type[Server], ...] = (RabbitMQ, ClickHouse, Postgres, Alertmanager)
"""In the order of the data flow: a writer stops before the server it writes to."""

# PostgreSQL's limit is 1024 bytes including its own files' names; its error beyond that is obscure.
_LONGEST_DIRECTORY = 900


@dataclass(frozen=True)
class ServerStatus:
    """A server's state. `external` means that a URL in the environment replaces it."""

    name: str
    state: Literal["running", "stopped", "external", "not installed"]
    pid: int | None
    ports: dict[str, int]
    log: Path


class Stack:
    """RabbitMQ, ClickHouse, PostgreSQL and Alertmanager with all their data below one directory.

    `ports` apply to servers that are not running yet. `fast` gives up durability in a power failure, for tests.
    """

    def __init__(self, directory: Path, ports: Ports, *, fast: bool = False) -> None:
        self.directory = directory.absolute()
        self._ports = ports
        self._fast = fast
        self._servers: Sequence[Server] = ()
        self._started: Sequence[Server] = ()

    def start(self, report: Callable[[str], None]) -> dict[str, str]:
        """Start the servers that are not running. Returns the environment for clients.

        Raises StackError if a server cannot be started; those that this call started are stopped then.
        """
        self._make_directory()
        with exclusive(self.directory):
            for server in self._started:
                if not server.process.running():
                    server.stop()  # what a server that died has left
            state = State.load(self._state_path)
            self._servers = self._build(state, self._ports_for_start(state))
            state.ports = asdict(self._servers[0].ports)
            state.save(self._state_path)
            replaced = {server.name: _replacement(server) for server in self._servers}
            for name in filter(replaced.get, replaced):
                report(f"{name} is configured in the environment")
            own = [server for server in self._servers if not replaced[server.name]]
            for server in filter(Server.absent, own):
                report(server.absent())
            self._started = [server for server in own if not server.absent()]
            _start_together(self._started, report)
        environment: dict[str, str] = {}
        for server in self._servers:
            environment |= replaced[server.name] or (server.environment() if server in self._started else {})
        write_private(self.directory / "env", "".join(f"{name}={value}\n" for name, value in environment.items()))
        return environment

    def stop(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Stop every running server of this directory. Raises StackError while another start or stop runs."""
        if not self.directory.is_dir():
            return
        with exclusive(self.directory):
            for server in self._servers or self._recorded():
                running = server.process.running()
                server.stop()
                if running:
                    report(f"{server.name} is stopped")

    def stopped(self) -> list[str]:
        """The names of the servers that `start` started or found running, and that have ended since."""
        return [server.name for server in self._started if not server.process.running()]

    def status(self) -> list[ServerStatus]:
        """The state of each server, in the order of the data flow."""
        return [
            ServerStatus(
                name=server.name,
                state=_state(server),
                pid=server.process.pid(),
                ports=server.own_ports(),
                log=server.process.output,
            )
            for server in self._recorded()
        ]

    @property
    def _state_path(self) -> Path:
        return self.directory / "stack.json"

    def _make_directory(self) -> None:
        if len(os.fsencode(self.directory)) > _LONGEST_DIRECTORY:
            raise StackError(
                f"the path of the directory is longer than {_LONGEST_DIRECTORY} bytes: {self.directory}; "
                "choose a shorter one (--dir or GCC_LOCAL_DIR)"
            )
        try:
            make_private_folder(self.directory)
            (self.directory / "lock").touch()
        except OSError as error:
            raise StackError(
                f"cannot write to the directory {self.directory} ({error.strerror}); "
                "choose another one (--dir or GCC_LOCAL_DIR)"
            ) from error

    def _recorded(self) -> Sequence[Server]:
        state = State.load(self._state_path)
        return self._build(state, Ports(**{**asdict(self._ports), **state.ports}))

    def _build(self, state: State, ports: Ports) -> Sequence[Server]:
        return [
            server(
                self._directory_of(server),
                ports,
                state.passwords_for(server.name, server.users),
                fast=self._fast,
            )
            for server in SERVERS
        ]

    def _ports_for_start(self, state: State) -> Ports:
        """The given ports, or the recorded ones of servers that are running."""
        ports = asdict(self._ports)
        for server in self._build(state, self._ports):
            if server.process.running():
                ports |= {name: state.ports[name] for name in server.port_names if name in state.ports}
        return Ports(**ports)

    def _directory_of(self, server: type[Server]) -> Path:
        return self.directory / server.name.lower()


def _state(server: Server) -> Literal["running", "stopped", "external", "not installed"]:
    if _replacement(server):
        return "external"
    if server.absent():
        return "not installed"
    return "running" if server.process.running() else "stopped"


def _replacement(server: Server) -> dict[str, str]:
    """URLs from the environment that replace this server; empty unless its main URL is set.

    A URL that contains one of our own passwords does not count: it is the exported output of an earlier start.
    """
    urls = {
        name: url
        for name, url in _configured(server.environment()).items()
        if not any(password in url for password in server.passwords.values())
    }
    return urls if server.variable in urls else {}


def _configured(names: Mapping[str, str]) -> dict[str, str]:
    """The values of those names that are set in the environment or in .env."""
    settings = Settings(_env_file=".env")  # without the file that an earlier start has written
    aliases = {field.alias: getattr(settings, name) for name, field in Settings.model_fields.items()}
    secrets = {name: value.get_secret_value() for name, value in aliases.items() if isinstance(value, SecretStr)}
    found = {name: secrets.get(name) or os.environ.get(name, "") for name in names}
    return {name: value for name, value in found.items() if value}


def _start_together(servers: Sequence[Server], report: Callable[[str], None]) -> None:
    """Start the servers concurrently. On a failure or an interrupt, stop those that this call started."""
    cancelled = threading.Event()
    booted: list[Server] = []
    began = time.monotonic()

    def start(server: Server) -> str:
        if not server.start(cancelled):
            return f"{server.name} was running"
        booted.append(server)
        return f"{server.name} is ready after {time.monotonic() - began:.1f} s"

    try:
        with ThreadPoolExecutor(max_workers=len(SERVERS)) as threads, _set_on_error(cancelled):
            for attempt in as_completed([threads.submit(start, server) for server in servers]):
                report(attempt.result())
    except BaseException:
        for server in booted:
            server.stop()
        raise


@contextmanager
def _set_on_error(event: threading.Event) -> Iterator[None]:
    try:
        yield
    except BaseException:
        event.set()
        raise
