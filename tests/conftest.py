"""The servers that the tests share: one local stack for each worker, on free ports, in a directory of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import ROLES, SUPERUSER, Postgres
from gcc_platform.local_stack.stack import Stack
from gcc_platform.migration.rehearsal import old_rows
from tests.harness.s3_server import S3Server

STOP_AT_END_OF_INPUT = "import sys; sys.stdin.read(); from gcc_platform.cli import main; main()"

LEGACY = Path(old_rows.__file__).with_name("old_tables.sql")
"""The old log tables."""

NAMES = (
    "AMQP_URL",
    "RABBITMQ_MANAGEMENT_URL",
    "CLICKHOUSE_URL",
    "GCC_DBT_CLICKHOUSE_URL",
    "GCC_SYNC_CLICKHOUSE_URL",
    "GCC_READER_CLICKHOUSE_URL",
    "GCC_MIGRATION_CLICKHOUSE_URL",
    "POSTGRES_URL",
    "GCC_DBT_POSTGRES_URL",
    "GCC_READER_POSTGRES_URL",
    "GCC_MIGRATION_POSTGRES_URL",
    "ALERTMANAGER_URL",
)


def pytest_configure() -> None:
    """Properties have no deadline for an example: one that takes 200 ms shows how busy the machine is.

    Workers side by side search free ports apart, or two could find the same one free and both take it.
    """
    settings.register_profile("gcc", settings.get_profile(settings.get_current_profile_name()), deadline=None)
    settings.load_profile("gcc")
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        first = 12_000 + int(worker.removeprefix("gw")) % 4 * 5_000
        os.environ["GCC_LOCAL_FREE_PORTS"] = f"{first}-{first + 4_999}"


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack's servers are."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that the stack's ClickHouse may write to. Only the tests that need it start it."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def stack(stack_folder: Path, s3_server: S3Server) -> Iterator[Mapping[str, str]]:
    """The environment of RabbitMQ, ClickHouse and PostgreSQL, as `gcc-platform stack start` prints it.

    Never the servers that the environment or .env names: tests drop what they find.
    """
    servers = Stack(stack_folder, Ports.free(), fast=True)
    with pytest.MonkeyPatch.context() as outside:
        for name in NAMES:
            outside.delenv(name, raising=False)
        outside.setenv("GCC_SYNC_STAGE", s3_server.url)  # ClickHouse may write there; no sync does by itself
        outside.chdir(stack_folder)
        environment = servers.start(print)
    guard = _stop_when_we_die(stack_folder)
    yield environment
    servers.stop()
    guard.kill()
    guard.communicate()


@pytest.fixture(scope="session")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database of the company's."""
    passwords = dict.fromkeys((SUPERUSER, *ROLES), "secret")
    server = Postgres(tmp_path_factory.mktemp("old"), Ports.free(), passwords, fast=True)
    server.start(threading.Event())
    yield server.url("postgresql", SUPERUSER, server.ports.postgres, "/gcc")
    server.stop()


@pytest.fixture
def old(old_server: str) -> Iterator[psycopg.Connection]:
    """The old log tables, empty, with ids from 1."""
    with psycopg.connect(old_server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(LEGACY.read_bytes())
        yield connection


def _stop_when_we_die(directory: Path) -> subprocess.Popen[bytes]:
    """Stop the servers when our end of the pipe closes, however pytest ends: by SIGKILL too."""
    return subprocess.Popen(
        [sys.executable, "-c", STOP_AT_END_OF_INPUT, "stack", "stop", "--dir", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
