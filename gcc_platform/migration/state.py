"""Connections to the state of the migration, a schema of the platform's PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from gcc_platform.migration.postgres import Connection, connect


async def create(connection: Connection) -> None:
    """Create the schema and its tables, unless they exist. Only the first takes the right to create schemas."""
    known = await connection.execute("SELECT FROM pg_namespace WHERE nspname = 'migration'")
    if await known.fetchone() is None:
        await connection.execute("CREATE SCHEMA migration")
    await connection.execute(files("gcc_platform.migration").joinpath("state.sql").read_bytes())


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection in autocommit mode. Raises PostgresUnavailable and BadUrl."""
    async with connect(url, "gcc migration state") as connection:
        yield connection
