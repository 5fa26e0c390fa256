"""A migration from the old database to the session's servers."""

from collections.abc import Iterator, Mapping

import psycopg
import pytest

from tests.gcc_platform.migration.moving import Moving


@pytest.fixture
def moving(raw_tables: Mapping[str, str], old_server: str, old: psycopg.Connection) -> Iterator[Moving]:
    """A migration of these tables that has not begun."""
    found = Moving(raw_tables, old_server)
    found.forget()
    yield found
    found.forget()
