"""A migration from the old database to the session's servers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator


@pytest.fixture
def moving(raw_tables: Mapping[str, str], old_server: str, old: psycopg.Connection) -> Iterator[Moving]:
    """A migration of these tables that has not begun."""
    found = Moving(raw_tables, old_server)
    found.forget()
    yield found
    found.forget()


@pytest.fixture
def operator(raw_tables: Mapping[str, str], moving: Moving, tmp_path: Path) -> Operator:
    return Operator({**raw_tables, "GCC_LEGACY_URL": moving.legacy_url}, tmp_path)
