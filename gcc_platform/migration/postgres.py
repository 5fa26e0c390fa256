"""Asynchronous connections to PostgreSQL, each with a name, time limits and times in UTC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection

from gcc_platform.resources.postgres import PostgresUnavailable
from ingest_service.urls import BadUrl, redacted

Connection = AsyncConnection[tuple[Any, ...]]

_CONNECT_SECONDS = 5
_SILENCE_MS = 30_000
"""A server that does not acknowledge what was sent for so long is gone."""
_LIMITS = "-c lock_timeout=10s -c statement_timeout=3600s -c idle_in_transaction_session_timeout=600s -c TimeZone=UTC"
"""A throttled chunk waits for us, so the limit of a statement is far above what a chunk takes."""

READ_ONLY = "-c default_transaction_read_only=on -c jit=off"
"""For reading the old database: compiling a query of a chunk takes longer than running it."""


@asynccontextmanager
async def connect(url: str, application_name: str, options: str = "") -> AsyncIterator[Connection]:
    """A connection in autocommit mode. Raises PostgresUnavailable and BadUrl."""
    try:
        connection = await AsyncConnection.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            tcp_user_timeout=_SILENCE_MS,
            application_name=application_name,
            options=f"{_LIMITS} {options}",
        )
    except psycopg.OperationalError as error:
        raise PostgresUnavailable(f"cannot connect to PostgreSQL at {redacted(url)}: {str(error).strip()}") from None
    except psycopg.ProgrammingError:  # its text may quote a part of the password
        raise BadUrl(f"libpq cannot parse the URL of PostgreSQL at {redacted(url)}") from None
    async with connection:
        yield connection
