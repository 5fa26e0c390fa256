"""Connections to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from ingest_service.errors import UserError
from ingest_service.urls import BadUrl, each_host, redacted

_CONNECT_SECONDS = 5
_NAME_BYTES = 63
_OPTIONS = "-c statement_timeout=540s -c lock_timeout=60s -c idle_in_transaction_session_timeout=540s"
"""Nothing waits for ever: a run is ended after ten minutes (gcc_platform/defs/schedules.py). A swap waits far less."""


class PostgresUnavailable(UserError):
    """PostgreSQL refuses the connection or does not answer. The message has the reason and no password."""


def _to_primary(url: str) -> str:
    """What libpq needs to find the primary among several hosts, unless the URL says which one it wants."""
    if len(each_host(url)) == 1 or "target_session_attrs" in url:
        return url
    return make_conninfo(url, target_session_attrs="read-write")


@contextmanager
def connect(url: str, application_name: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode, on which callers open transactions; of several hosts to the one that writes.

    Raises PostgresUnavailable and BadUrl.
    """
    try:
        connection = psycopg.connect(
            _to_primary(url),
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            application_name=application_name[:_NAME_BYTES],
            options=_OPTIONS,
        )
    except psycopg.OperationalError as error:
        raise PostgresUnavailable(f"cannot connect to PostgreSQL at {redacted(url)}: {str(error).strip()}") from None
    except psycopg.ProgrammingError:  # its text may quote a part of the password
        raise BadUrl(f"libpq cannot parse the URL of PostgreSQL at {redacted(url)}") from None
    with connection:
        yield connection
