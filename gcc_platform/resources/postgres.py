"""PostgreSQL as the sync writes it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_CONNECT_SECONDS = 5
_NAME_BYTES = 63


class PostgresUnavailable(Exception):
    """PostgreSQL cannot be used now; the message says why and has no password."""


@contextmanager
def connect(url: str, application_name: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode: transactions are opened where they are meant. Raises PostgresUnavailable."""
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            application_name=application_name[:_NAME_BYTES],
        )
    except psycopg.OperationalError as error:
        raise PostgresUnavailable(f"POSTGRES_URL: {str(error).strip()}") from None
    with connection:
        yield connection
