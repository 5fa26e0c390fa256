"""How a command ends: 0 when it did its work, 1 with one clear line on stderr when it could not."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from pydantic import ValidationError

from ingest_service import shown_text
from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.consumer import QueueMissing
from ingest_service.broker.publisher import NotConfirmed
from ingest_service.clickhouse_errors import ClickHouseUnavailable
from ingest_service.http import PortTaken
from ingest_service.letters.files import BadArchiveUrl, NotWritten
from ingest_service.letters.table import NoSuchLetter
from ingest_service.ndjson import NotNdjson
from ingest_service.sentry import SentryMissing
from ingest_service.settings import BadUrl, MissingUrl
from ingest_service.verdicts import InsertFailed

_EXPECTED = (
    BadArchiveUrl,
    BadUrl,
    BrokerUnavailable,
    ClickHouseUnavailable,
    InsertFailed,
    MissingUrl,
    NoSuchLetter,
    NotConfirmed,
    NotNdjson,
    NotWritten,
    OSError,
    PortTaken,
    QueueMissing,
    SentryMissing,
    ValidationError,
)


@contextmanager
def told() -> Iterator[None]:
    """Turn the errors a user can do something about into a line on stderr and exit code 1."""
    try:
        yield
    except _EXPECTED as error:
        click.echo(f"{click.style('error:', fg='red')} {shown_text.lines(_text(error))}", err=True)
        sys.exit(1)


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        # Not pydantic's own text: that shows the value, which may be a URL with its password.
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
    return str(error)
