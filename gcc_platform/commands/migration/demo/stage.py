"""The servers and processes of the rehearsal, all in one directory: the company's and the platform's."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gcc_platform.local_stack.ports import LOOPBACK, Ports, pick_free, variable
from gcc_platform.local_stack.postgres import SUPERUSER, Postgres
from gcc_platform.local_stack.private_files import make_private_folder
from gcc_platform.local_stack.process import Command, Process
from gcc_platform.local_stack.state import State
from ingest_service.errors import UserError

PROGRAMS = Path(sys.executable).parent
_URLS = {"AMQP_URL", "CLICKHOUSE_URL", "POSTGRES_URL", "RABBITMQ_MANAGEMENT_URL", "ALERTMANAGER_URL", "DAGSTER_HOME"}
_KEPT = {"GCC_LOCAL_FREE_PORTS", "GCC_PROJECT_DIR"}
_READY_SECONDS = 60
_STOP_SECONDS = 40


class CommandFailed(UserError):
    """A command of the rehearsal ended in another way than the rehearsal expects."""


@dataclass
class Stage:
    """Running servers, and the environment of the commands."""

    directory: Path
    environment: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)

    def run(self, *argv: str, code: int = 0) -> str:
        """The output of gcc-platform or gcc-ingest with these arguments. Raises CommandFailed."""
        done = subprocess.run(
            [PROGRAMS / argv[0], *argv[1:]],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise CommandFailed(f"{' '.join(argv)} has ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start a process of the rehearsal, which is stopped with it."""
        folder = self.directory / name
        make_private_folder(folder)
        process = Process(folder)
        process.start(Command(argv, {**self.environment, **(environment or {})}))
        self.processes[name] = process
        return process

    def stop(self, name: str) -> None:
        """Stop a process in order: it finishes what it does."""
        self.processes.pop(name).stop(signal.SIGTERM, seconds=_STOP_SECONDS)

    def kill(self, name: str) -> None:
        """Kill a process as machines do."""
        process = self.processes.pop(name)
        if pid := process.pid():
            os.kill(pid, signal.SIGKILL)
        process.stop(signal.SIGKILL, seconds=_STOP_SECONDS)


@contextmanager
def stage(directory: Path, report: Callable[[str], None]) -> Iterator[Stage]:
    """Start the servers, and stop everything at the end. Raises StackError and CommandFailed."""
    make_private_folder(directory)
    ports = Ports.free()
    found = Stage(directory, _environment(directory, ports))
    old = _old_server(directory, ports)
    try:
        report("starting the company's PostgreSQL, and RabbitMQ, ClickHouse and PostgreSQL of the platform")
        old.start(threading.Event())
        started = found.run("gcc-platform", "stack", "start")
        found.environment |= dict(line.split("=", 1) for line in started.splitlines() if "=" in line)
        found.environment["GCC_LEGACY_URL"] = old.url("postgresql", SUPERUSER, old.ports.postgres, "/gcc")
        found.run("gcc-ingest", "init")
        ingest = found.start("ingest", [str(PROGRAMS / "gcc-ingest"), "run"])
        address = f"http://{LOOPBACK}:{found.environment['GCC_HTTP_PORT']}/ready"
        ingest.wait_until(lambda: _answers(address), seconds=_READY_SECONDS)
        yield found
    finally:
        report("stopping everything")
        for name in reversed(list(found.processes)):
            found.stop(name)
        found.run("gcc-platform", "stack", "stop")
        old.stop()


def _environment(directory: Path, ports: Ports) -> dict[str, str]:
    """The user's environment without the user's servers."""
    outside = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not (name in _URLS or name.startswith(("GCC_", "DBT_")))
    }
    http = pick_free(1, excluding=list(asdict(ports).values()))[0]
    return {
        **outside,
        **{variable(name): str(port) for name, port in asdict(ports).items()},
        "GCC_LOCAL_DIR": str(directory / "platform"),
        "GCC_HTTP_PORT": str(http),
        "DAGSTER_HOME": str(directory / "dagster"),
        "GCC_MIGRATION_DAYS": "0",
        "GCC_MIGRATION_GRACE_SECONDS": "15",
        "GCC_FLUSH_SECONDS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _old_server(directory: Path, ports: Ports) -> Postgres:
    folder = directory / "company"
    make_private_folder(folder)
    state = State.load(folder / "state.json")
    passwords = state.passwords_for(Postgres.name, Postgres.users)
    state.save(folder / "state.json")
    taken = list(asdict(ports).values())
    make_private_folder(folder / "postgresql")
    return Postgres(folder / "postgresql", Ports(*pick_free(len(taken), excluding=taken)), passwords, fast=False)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own loopback URL
            return bool(answer.status == 200)
    except OSError:
        return False
