"""PostgreSQL as the sync writes it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg

from gcc_platform.settings import Settings

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


class PostgresResource(dg.ConfigurableResource[psycopg.Connection]):
    """PostgreSQL for the sync. The URL is read when a run needs it, not when code loads."""

    @contextmanager
    def connect(self, application_name: str) -> Iterator[psycopg.Connection]:
        """A connection as POSTGRES_URL says; pg_stat_activity shows its name. Raises MissingUrl."""
        with connect(Settings().url("postgres"), application_name) as connection:
            yield connection
