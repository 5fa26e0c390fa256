"""The raw tables on the session's servers, and the environment that leads to them."""

import asyncio
from collections.abc import Iterator, Mapping

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from ingest_service.clickhouse.client import connected
from ingest_service.schema.apply import apply


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
