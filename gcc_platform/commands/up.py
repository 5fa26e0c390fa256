"""`gcc-platform up`: runs the local stack, the ingest service, its archive, Dagster and the watch until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.console import Console
from rich.table import Table

from gcc_platform import project
from gcc_platform.commands.keep_running import KeepRunning
from gcc_platform.commands.managed_process import ManagedProcess
from gcc_platform.dagster_home import dagster_environment, dagster_home
from gcc_platform.local_stack.commands import directory_option, stack_of
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK, is_free
from gcc_platform.local_stack.process import Process
from gcc_platform.local_stack.stack import Stack
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.settings import Settings
from gcc_platform.watch.settings import WatchSettings
from ingest_service.commands.errors import exit_on_error
from ingest_service.urls import redacted

PROGRAMS = Path(sys.executable).parent

_LOCATIONS = """
{ workspaceOrError { ... on Workspace {
    locationEntries { locationOrLoadError { __typename ... on PythonError { message } } } } } }
"""


@click.command()
@click.option(
    "--simulate",
    type=click.FloatRange(min=0.1),
    metavar="RATE",
    help="Publish simulated events, RATE per second.",
)
@directory_option
@exit_on_error()
def up(simulate: float | None, directory: Path | None) -> None:
    """Run everything: the servers, the ingest service, its archive, Dagster and the watch.

    A server whose URL is in the environment is used, and no local one is started. What ends is started again. Ctrl-C
    stops everything in order; the data stays.

    \b
    Examples:
      gcc-platform up
      gcc-platform up --simulate 50
    """
    settings = Settings()
    stack = stack_of(directory)
    services = _services(stack.directory, settings, simulate)
    try:
        with _interruptible():
            _check_ports(settings, services)
            environment = _start(stack, services, settings)
            _show(environment, settings, services)
            KeepRunning(stack, services, environment, _report).run()
    except KeyboardInterrupt:
        click.echo("\nstopping", err=True)
    finally:
        _stop(stack, services)


def _services(directory: Path, settings: Settings, rate: float | None) -> list[ManagedProcess]:
    """The platform's processes, in the order in which they start."""
    dagster = ["dev", "--workspace", str(project.file("workspace.yaml")), "--host", LOOPBACK]
    found = [
        ManagedProcess(
            "the ingest service",
            Process(directory / "ingest"),
            [str(PROGRAMS / "gcc-ingest"), "run"],
            lambda: _ingest_is_ready(settings.http_port),
        ),
        ManagedProcess(
            "the archive",
            Process(directory / "archive"),
            [str(PROGRAMS / "gcc-ingest"), "archive"],
            lambda: _answer(f"http://{LOOPBACK}:{WatchSettings().archive_port}/ready") is not None,
        ),
        ManagedProcess(
            "Dagster",
            Process(directory / "dagster"),
            [str(PROGRAMS / "dagster"), *dagster, "--port", str(settings.dagster_port)],
            lambda: _assets_are_loaded(settings.dagster_port),
            dagster_environment(),
        ),
    ]
    if rate is not None:
        simulator = [str(PROGRAMS / "gcc-ingest"), "simulate", "--rate", str(rate)]
        found.append(ManagedProcess("the simulator", Process(directory / "simulator"), simulator))
    found += _moving(directory)
    watching = [str(PROGRAMS / "gcc-platform"), "watch"]
    found.append(ManagedProcess("the watch", Process(directory / "watch"), watching, _watch_is_ready))
    return found


def _moving(directory: Path) -> list[ManagedProcess]:
    """The daemons of a migration, while there is an old database."""
    if not MigrationSettings().is_on:
        return []
    program = [str(PROGRAMS / "gcc-platform"), "migration"]
    return [
        ManagedProcess("the tail of the migration", Process(directory / "migration_tail"), [*program, "tail"]),
        ManagedProcess("the reverse writer", Process(directory / "migration_reverse"), [*program, "reverse"]),
    ]


def _watch_is_ready() -> bool:
    return _answer(f"http://{LOOPBACK}:{WatchSettings().port}/heartbeat") is not None


def _ingest_is_ready(port: int) -> bool:
    return _answer(f"http://{LOOPBACK}:{port}/ready") is not None


def _assets_are_loaded(port: int) -> bool:
    """Whether Dagster has loaded our definitions; its UI starts before that. Raises StackError if they fail to load."""
    answer = _answer(f"http://{LOOPBACK}:{port}/graphql?{urlencode({'query': _LOCATIONS})}")
    entries = json.loads(answer)["data"]["workspaceOrError"].get("locationEntries", []) if answer else []
    loaded = [entry["locationOrLoadError"] for entry in entries if entry["locationOrLoadError"]]
    for location in loaded:
        if location["__typename"] == "PythonError":
            raise StackError(f"the definitions cannot be loaded: {location['message']}")
    return bool(loaded)


def _answer(url: str) -> bytes | None:
    """The body of a response of one of our own servers; None unless its status is 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  our own loopback URL
            return bytes(answer.read()) if answer.status == 200 else None
    except OSError:
        return None


def _check_ports(settings: Settings, services: Sequence[ManagedProcess]) -> None:
    if any(service.process.running() for service in services):
        return  # they are left from a killed `up`, and are about to be replaced
    for name, variable, port in (
        ("the ingest service", "GCC_HTTP_PORT", settings.http_port),
        ("Dagster", "GCC_DAGSTER_PORT", settings.dagster_port),
        ("the archive", "GCC_ARCHIVE_HTTP_PORT", WatchSettings().archive_port),
        ("the watch", "GCC_WATCH_PORT", WatchSettings().port),
    ):
        if not is_free(port):
            raise StackError(f"port {port} for {name} is in use; stop the program that has it, or set {variable}")


def _start(stack: Stack, services: Sequence[ManagedProcess], settings: Settings) -> dict[str, str]:
    urls = stack.start(_report)
    environment = {
        **os.environ,
        **urls,
        "GCC_LOCAL_DIR": str(stack.directory),
        "DAGSTER_HOME": str(dagster_home()),
        "GCC_HTTP_PORT": str(settings.http_port),
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",  # Dagster starts dbt by name
    }
    _initialise(environment)
    # The watch comes last: it would report that the others are down while they start.
    first, last = services[:-1], services[-1:]
    for group in (first, last):
        for service in group:
            service.start(environment)
        for service in group:
            service.wait()
            _report(f"{service.name} is ready")
    return environment


def _initialise(environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [PROGRAMS / "gcc-ingest", "init"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"gcc-ingest init failed: {done.stderr.strip()}")
    _report("queues and raw tables exist")


def _show(environment: Mapping[str, str], settings: Settings, services: Sequence[ManagedProcess]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "URL", "for"):
        table.add_column(heading, overflow="fold")
    table.add_row("Status", f"http://{LOOPBACK}:{WatchSettings().port}", "what is wrong now, and what to do")
    table.add_row("Dagster", f"http://{LOOPBACK}:{settings.dagster_port}", "assets, runs, checks")
    table.add_row("Ingest", f"http://{LOOPBACK}:{settings.http_port}/status", "also /ready, /metrics")
    for name, variable, purpose in (
        ("RabbitMQ", "RABBITMQ_MANAGEMENT_URL", "queues"),
        ("ClickHouse", "GCC_READER_CLICKHOUSE_URL", "raw tables (_e), marts (warehouse), read only; /play"),
        ("PostgreSQL", "GCC_READER_POSTGRES_URL", "what the API reads (api), read only"),
    ):
        if variable in environment:
            table.add_row(name, redacted(environment[variable]), purpose)
    console = Console(highlight=False)
    console.print(table)
    logs = ", ".join(str(service.process.output) for service in services)
    console.print(
        "\nThe schedule refreshes every 15 minutes. To refresh now: gcc-platform refresh\n"
        f"URLs with their passwords: {environment['GCC_LOCAL_DIR']}/env\nLogs: {logs}\nCtrl-C stops everything.",
        soft_wrap=True,
    )


def _stop(stack: Stack, services: Sequence[ManagedProcess]) -> None:
    """Stop the platform's processes concurrently, then the servers that they use."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stop
    with ThreadPoolExecutor() as threads:
        for stopped in [threads.submit(_stop_one, service) for service in reversed(services)]:
            stopped.result()
    stack.stop(_report)


def _stop_one(service: ManagedProcess) -> None:
    if service.process.running():
        service.stop()
        _report(f"{service.name} is stopped")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM as on SIGINT."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    handlers: dict[int, Callable[[int, object], None]] = {signal.SIGINT: interrupt, signal.SIGTERM: interrupt}
    for number, handler in handlers.items():
        signal.signal(number, handler)
    yield


def _report(message: str) -> None:
    click.echo(message, err=True)
