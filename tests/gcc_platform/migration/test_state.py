"""The state's tables: created once, by any number of workers at the same time, and left alone afterwards."""

import asyncio
from collections.abc import Mapping

import psycopg
import pytest

from gcc_platform.migration import state

WORKERS = 8


@pytest.fixture
def url(stack: Mapping[str, str]) -> str:
    return stack["GCC_MIGRATION_POSTGRES_URL"]


async def create(url: str) -> None:
    async with state.connected(url) as connection:
        await state.create(connection)


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'migration'")
        return sorted(name for (name,) in found.fetchall())


def test_workers_that_start_at_once_create_the_tables_once(url: str) -> None:
    async def start() -> None:
        await asyncio.gather(*(create(url) for _ in range(WORKERS)))

    asyncio.run(start())
    before = tables(url)
    with psycopg.connect(url) as connection:
        connection.execute("COMMENT ON SCHEMA migration IS 'of another release'")
        connection.execute("DROP TABLE migration.looks")
    asyncio.run(start())
    assert tables(url) == before
    assert "looks" in before


def test_a_worker_starts_while_another_one_writes_in_a_transaction(url: str) -> None:
    asyncio.run(create(url))
    with psycopg.connect(url) as worker:
        worker.execute("LOCK TABLE migration.chunks, migration.tail IN ROW EXCLUSIVE MODE")
        asyncio.run(asyncio.wait_for(create(url), timeout=5))
