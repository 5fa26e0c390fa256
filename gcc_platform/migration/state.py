"""Connections to the state of the migration, a schema of the platform's PostgreSQL."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files

from psycopg import sql

from gcc_platform.migration.postgres import Connection, connect

# Several workers may be started at once.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('migration.state', 0))"


async def create(connection: Connection) -> None:
    """Create the schema and its tables, or bring those of another release up to date.

    Where they are this release's, which a comment says, no table is locked: workers may be at work on them. Only the
    first takes the right to create schemas.
    """
    if await _is_current(connection):
        return
    async with connection.transaction():
        await connection.execute(_LOCK)
        if not await _is_current(connection):
            await _create(connection)


async def _is_current(connection: Connection) -> bool:
    found = await connection.execute("SELECT obj_description(to_regnamespace('migration'), 'pg_namespace')")
    return await found.fetchone() == (_version(),)


async def _create(connection: Connection) -> None:
    known = await connection.execute("SELECT to_regnamespace('migration')")
    if await known.fetchone() == (None,):
        await connection.execute("CREATE SCHEMA migration")
    await connection.execute(_source())
    await connection.execute(sql.SQL("COMMENT ON SCHEMA migration IS {}").format(_version()))


@cache
def _source() -> bytes:
    return files("gcc_platform.migration").joinpath("state.sql").read_bytes()


@cache
def _version() -> str:
    """The schema's comment."""
    return f"The state of the migration, gcc {hashlib.sha256(_source()).hexdigest()[:12]}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection in autocommit mode. Raises PostgresUnavailable and BadUrl."""
    async with connect(url, "gcc migration state") as connection:
        yield connection
