"""Fills old tables with rows as years of crawling leave them: mostly plain, some odd, a few that can be no events."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.resources import files

from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.postgres import Connection
from ingest_service.errors import UserError

SERIES = {"insta_account_ts": "profile_log", "insta_post_ts": "post_log"}
"""The series that the crawlers kept beside a log table. Filled with as many rows and the same seed as that, they have
the plain rows of Instagram, with the same timestamps."""

FILLED = (*LEGACY_TABLES, *SERIES)
"""The tables that can be filled."""

_BATCH = 50_000
_YEAR = timedelta(days=365.25)
_MOST_PROFILES = 50_000
_ROWS_PER_PROFILE = 50


class UnknownTable(UserError):
    """There are no rows for a table."""


async def create_tables(connection: Connection) -> None:
    """Create the old tables, unless they exist, as SQLAlchemy did. Raises psycopg.Error."""
    await connection.execute(_sql("old_tables.sql"))


async def fill(
    connection: Connection,
    table: str,
    rows: int,
    years: float,
    until: datetime,
    *,
    seed: int = 1,
    progress: Callable[[int], None] = lambda _: None,
    batch: int = _BATCH,
) -> None:
    """Insert rows of the years before `until`, a naive time, in the order of time. One transaction for each batch.

    The same arguments make the same rows. `progress` is called with the rows that are there after each batch. Raises
    UnknownTable and psycopg.Error.
    """
    if table not in FILLED:
        raise UnknownTable(f"there are no rows for a table {table!r}; there are for {', '.join(FILLED)}")
    await connection.execute(_sql("old_rows.sql"))
    profiles = min(_MOST_PROFILES, max(1, rows // _ROWS_PER_PROFILE))
    span = _YEAR * years
    for first in range(1, rows + 1, batch):
        last = min(rows, first + batch - 1)
        await connection.execute(
            f"SELECT pg_temp.fill_{table}(%s, %s, %s, %s, %s, %s, %s)".encode(),
            [first, last, rows, profiles, until - span, span.total_seconds(), seed],
        )
        progress(last)


def _sql(name: str) -> bytes:
    return files("gcc_platform.migration.rehearsal").joinpath(name).read_bytes()
