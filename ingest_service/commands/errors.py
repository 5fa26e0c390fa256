"""Error reporting of the commands: one line on stderr, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from pydantic import ValidationError

from ingest_service.errors import UserError
from ingest_service.observability import safe_text


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an expected error as one line on stderr, and exit with its code (default 1)."""
    try:
        yield
    except (UserError, OSError, ValidationError) as error:
        click.echo(f"{click.style('error:', fg='red')} {safe_text.lines(_text(error))}", err=True)
        sys.exit(error.exit_code if isinstance(error, UserError) else 1)


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        # Not pydantic's own text: it shows the value, which may be a URL with a password.
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
    return str(error)
