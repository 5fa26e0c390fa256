"""An old database, on a PostgreSQL server of its own, beside the platform's servers."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import ROLES, SUPERUSER, Postgres
from tests.gcc_platform.migration.moving import Moving

LEGACY = Path(__file__).with_name("legacy.sql")


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


@pytest.fixture
def moving(raw_tables: Mapping[str, str], old_server: str, old: psycopg.Connection) -> Iterator[Moving]:
    """A migration of these tables that has not begun."""
    found = Moving(raw_tables, old_server)
    found.forget()
    yield found
    found.forget()
