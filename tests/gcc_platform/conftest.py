"""The raw tables on the session's servers, the environment that leads to them, and a migration to them."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from ingest_service.clickhouse.client import connected
from ingest_service.schema.apply import apply
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator


@pytest.fixture(scope="session")
def raw_tables(stack: Mapping[str, str]) -> Mapping[str, str]:
    """The stack's environment, with the raw tables created."""

    async def create() -> None:
        async with connected(stack["CLICKHOUSE_URL"], 30) as clickhouse:
            await apply(clickhouse)

    asyncio.run(create())
    return stack


@pytest.fixture
def ingest(raw_tables: Mapping[str, str]) -> Iterator[Client]:
    """ClickHouse as the ingest service's user, who writes the raw tables."""
    with clickhouse_connect.get_client(dsn=raw_tables["CLICKHOUSE_URL"]) as client:
        yield client


@pytest.fixture
def platform(raw_tables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment of the session's servers, set."""
    for name, value in raw_tables.items():
        monkeypatch.setenv(name, value)
    return raw_tables


@pytest.fixture
def moving(raw_tables: Mapping[str, str], old_server: str, old: psycopg.Connection) -> Iterator[Moving]:
    """A migration of these tables that has not begun."""
    found = Moving(raw_tables, old_server)
    found.forget()
    yield found
    found.forget()


@pytest.fixture
def operator(raw_tables: Mapping[str, str], moving: Moving, tmp_path: Path) -> Operator:
    """Runs the commands of that migration."""
    return Operator({**raw_tables, "GCC_LEGACY_URL": moving.legacy_url}, tmp_path)
