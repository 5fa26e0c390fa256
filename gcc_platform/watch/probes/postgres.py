"""Whether PostgreSQL answers a query."""

import asyncio

import psycopg

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.seen import Component, Seen
from ingest_service.urls import redacted

_NAME = "PostgreSQL"
_DEADLINE_SECONDS = 10


async def look(url: str) -> Seen:
    """Run one query as the sync's user."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            version = await _version(url)
    except TimeoutError:
        return _down(f"{redacted(url)} does not answer within {_DEADLINE_SECONDS} s")
    except psycopg.OperationalError as error:
        return _down(" ".join(str(error).split()))
    except psycopg.Error as error:  # of a URL that libpq cannot parse, whose text may quote a part of the password
        return _down(f"{redacted(url)}: {type(error).__name__}")
    return Seen(components=(Component(_NAME, "ok", version),))


async def _version(url: str) -> str:
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=5, application_name="gcc-platform watch"
    )
    async with connection:
        row = await (await connection.execute("SHOW server_version")).fetchone()
    return str(row[0]) if row else ""


def _down(reason: str) -> Seen:
    found = Alert.of(KINDS["PostgresDown"], f"PostgreSQL: {reason}")
    return Seen((found,), (Component(_NAME, "down", reason),))
