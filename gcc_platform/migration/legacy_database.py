"""The old database: what it needs for a migration, and what of that it has."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import psycopg

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.postgres import READ_ONLY, Connection, connect
from gcc_platform.migration.series_tables import SERIES_TABLES

_ATTEMPTS = 20
_LOCK_SECONDS = 2


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Connection]:
    """A connection that cannot write. Raises PostgresUnavailable and BadUrl."""
    async with connect(url, "gcc migration", READ_ONLY) as connection:
        yield connection


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[Connection]:
    """A connection for the preparation and for the reverse writer. Raises PostgresUnavailable and BadUrl."""
    async with connect(url, "gcc migration") as connection:
        yield connection


async def present(connection: Connection) -> Sequence[LegacyTable]:
    """The old tables that this database has, in the order of their numbers."""
    names = await _existing(connection, LEGACY_TABLES)
    return [table for name, table in LEGACY_TABLES.items() if name in names]


async def present_series(connection: Connection) -> Sequence[LegacyTable]:
    """The tables of series that this database has, with their logs."""
    names = await _existing(connection, [*LEGACY_TABLES, *SERIES_TABLES])
    return [table for name, table in SERIES_TABLES.items() if {name, table.log} <= names]


async def _existing(connection: Connection, names: Iterable[str]) -> set[str | None]:
    found = await connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL", [list(names)]
    )
    return {name for (name,) in await found.fetchall()}


async def has_event_id(connection: Connection, table: LegacyTable) -> bool:
    """Whether the table has the column that dual-writing crawlers fill."""
    found = await connection.execute(
        "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'event_id' AND NOT attisdropped",
        [table.name],
    )
    return await found.fetchone() is not None


def preparation(table: LegacyTable) -> Sequence[str]:
    """The statements that a table needs, each of which may be repeated. The column is added in an instant."""
    return (
        f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS event_id uuid",
        f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index_name(table)} ON {table.name} (event_id) "
        "WHERE event_id IS NOT NULL",
    )


def index_name(table: LegacyTable) -> str:
    """The index by which the reverse writer inserts a row once."""
    return f"{table.name}_event_id"


async def has_index(connection: Connection, table: LegacyTable) -> bool:
    """Whether that index is there, and was built to its end."""
    found = await connection.execute(
        "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid", [index_name(table)]
    )
    return await found.fetchone() is not None


async def prepare(connection: Connection, table: LegacyTable) -> None:
    """Add the column event_id and its index. Writers never queue behind us for longer than two seconds.

    Raises psycopg.errors.LockNotAvailable if the table was locked at each of twenty attempts.
    """
    await connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
    await _drop_invalid(connection, table)
    for statement in preparation(table):
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await connection.execute(statement.encode())
                break
            except psycopg.errors.LockNotAvailable:
                if attempt == _ATTEMPTS:
                    raise


async def _drop_invalid(connection: Connection, table: LegacyTable) -> None:
    """An index whose CREATE was interrupted exists and is not used."""
    found = await connection.execute(
        "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [index_name(table)]
    )
    if await found.fetchone() is not None:  # a row without columns is an empty tuple
        await connection.execute(f"DROP INDEX CONCURRENTLY {index_name(table)}".encode())
