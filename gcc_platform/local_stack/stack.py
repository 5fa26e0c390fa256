"""The three servers as one: started together, reused while they run, stopped in the order of the data flow."""

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

from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.lock import exclusive
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import Postgres
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.rabbitmq import RabbitMQ
from gcc_platform.local_stack.record import Record
from gcc_platform.local_stack.server import Server
from gcc_platform.settings import Settings
from ingest_service.archive import private_folders

SERVERS: tuple[type[Server], ...] = (RabbitMQ, ClickHouse, Postgres)
"""In the order of the data flow: what writes stops before what it writes to."""

# PostgreSQL's limit is 1024 bytes with its own files' names; past that it fails with a riddle.
_LONGEST_DIRECTORY = 900


@dataclass(frozen=True)
class ServerStatus:
    """How one server is. ``external``: a URL in the environment names another, so ours is not used."""

    name: str
    state: Literal["running", "stopped", "external"]
    pid: int | None
    ports: dict[str, int]
    log: Path


class Stack:
    """RabbitMQ, ClickHouse and PostgreSQL with all their data below one directory.

    ports are for servers that are not running yet; one that runs keeps its own. fast gives up the safety of data in a
    power cut, for tests.
    """

    def __init__(self, directory: Path, ports: Ports, *, fast: bool = False) -> None:
        self.directory = directory.absolute()
        self._ports = ports
        self._fast = fast
        self._servers: Sequence[Server] = ()

    def start(self, report: Callable[[str], None]) -> dict[str, str]:
        """Start what is not running; the environment for clients, by variable. report hears of the progress.

        Raises StackError where a server cannot be started; what this call started is stopped again.
        """
        self._make_directory()
        with exclusive(self.directory):
            record = Record.load(self._record_path)
            self._servers = self._build(record, self._ports_for_start(record))
            record.ports = asdict(self._servers[0].ports)
            record.save(self._record_path)
            replaced = {server.name: _replacement(server) for server in self._servers}
            for name in filter(replaced.get, replaced):
                report(f"{name} is given by the environment")
            _start_together([server for server in self._servers if not replaced[server.name]], report)
        environment: dict[str, str] = {}
        for server in self._servers:
            environment |= replaced[server.name] or server.environment()
        write_private(self.directory / "env", "".join(f"{name}={value}\n" for name, value in environment.items()))
        return environment

    def stop(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Stop every server of this directory that runs. Raises StackError where another start or stop is at work."""
        if not self.directory.is_dir():
            return
        with exclusive(self.directory):
            for server in self._servers or self._recorded():
                running = server.process.running()
                server.stop()
                if running:
                    report(f"{server.name} is stopped")

    def status(self) -> list[ServerStatus]:
        """How each server is, in the order of the data flow."""
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
    def _record_path(self) -> Path:
        return self.directory / "stack.json"

    def _make_directory(self) -> None:
        if len(os.fsencode(self.directory)) > _LONGEST_DIRECTORY:
            raise StackError(
                f"the path of the directory is longer than {_LONGEST_DIRECTORY} bytes: {self.directory}; "
                "choose a shorter one (--dir or GCC_LOCAL_DIR)"
            )
        try:
            private_folders.make(self.directory)
            (self.directory / "lock").touch()
        except OSError as error:
            raise StackError(
                f"cannot write to the directory {self.directory} ({error.strerror}); "
                "choose another one (--dir or GCC_LOCAL_DIR)"
            ) from error

    def _recorded(self) -> Sequence[Server]:
        record = Record.load(self._record_path)
        return self._build(record, Ports(**{**asdict(self._ports), **record.ports}))

    def _build(self, record: Record, ports: Ports) -> Sequence[Server]:
        return [
            server(
                self._directory_of(server),
                ports,
                record.passwords_for(server.name, server.users),
                fast=self._fast,
            )
            for server in SERVERS
        ]

    def _ports_for_start(self, record: Record) -> Ports:
        """The given ports, but for servers that run: those listen where the record says."""
        ports = asdict(self._ports)
        for server in self._build(record, self._ports):
            if server.process.running():
                ports |= {name: record.ports[name] for name in server.port_names if name in record.ports}
        return Ports(**ports)

    def _directory_of(self, server: type[Server]) -> Path:
        return self.directory / server.name.lower()


def _state(server: Server) -> Literal["running", "stopped", "external"]:
    if _replacement(server):
        return "external"
    return "running" if server.process.running() else "stopped"


def _replacement(server: Server) -> dict[str, str]:
    """The URLs in the environment that make this server superfluous; nothing where its main URL is not among them.

    A URL with one of our own passwords in it replaces nothing: an earlier start's output was exported.
    """
    urls = {
        name: url
        for name, url in _configured(server.environment()).items()
        if not any(password in url for password in server.passwords.values())
    }
    return urls if server.variable in urls else {}


def _configured(names: Mapping[str, str]) -> dict[str, str]:
    """Those of the names that the platform's settings or the environment give a value."""
    settings = Settings(_env_file=".env")  # not the file that an earlier start has written
    aliases = {field.alias: getattr(settings, name) for name, field in Settings.model_fields.items()}
    secrets = {name: value.get_secret_value() for name, value in aliases.items() if isinstance(value, SecretStr)}
    found = {name: secrets.get(name) or os.environ.get(name, "") for name in names}
    return {name: value for name, value in found.items() if value}


def _start_together(servers: Sequence[Server], report: Callable[[str], None]) -> None:
    """Start the servers side by side. Where one fails or we are interrupted, stop those that this started."""
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
