"""The versions of a mart: the tables behind its served view, the lock on building one, and dropping old ones."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from gcc_platform.sync.views import replace_view
from ingest_service.errors import UserError

_DROP_LOCK_TIMEOUT = "100ms"
_VERSION = r"\d{12}[0-9a-f]{4}"
_SCHEMAS: tuple[LiteralString, ...] = ("serving", "serving_data")


def new_version() -> str:
    """A new version's name: its time, then a random suffix. Names sort by time."""
    return f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(2)}"


def table_name(mart: str, version: str) -> str:
    """The name of a version's table in serving_data."""
    return f"{mart}__{version}"


def create_schemas(postgres: psycopg.Connection) -> None:
    """Create `serving`, its functions and `serving_data` if they are missing.

    Asks first: CREATE SCHEMA IF NOT EXISTS needs the right to create schemas even if the schema exists.
    """
    for schema in _SCHEMAS:
        if postgres.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,):
            postgres.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    replace_view.ensure(postgres)


class AlreadySyncing(UserError):
    """Another session is syncing the same mart; the message names the session."""


@contextmanager
def mart_lock(postgres: psycopg.Connection, mart: str) -> Iterator[None]:
    """Hold the mart's advisory lock, so that only this session builds versions of it. Raises AlreadySyncing.

    The lock belongs to the session: PostgreSQL releases it when the connection ends, however it ends.
    """
    key = f"serving.{mart}"
    row = postgres.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row == (False,):
        raise AlreadySyncing(f"{mart} is being synced by {_holder(postgres, key)}: wait for it, or end that session")
    try:
        yield
    finally:
        if not postgres.closed:
            postgres.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))


def drop_old_versions(postgres: psycopg.Connection, mart: str) -> list[str]:
    """Drop the versions that no view reads and no sync will serve. Returns those that a reader still has locked.

    This never waits for a reader: the next sync drops what remains.
    """
    return [table for table in _old_versions(postgres, mart) if not _dropped(postgres, table)]


def _old_versions(postgres: psycopg.Connection, mart: str) -> list[str]:
    rows = postgres.execute(
        """
        SELECT tables.relname
        FROM pg_class AS tables
        WHERE tables.relnamespace = 'serving_data'::regnamespace AND tables.relkind = 'r' AND tables.relname ~ %s
          AND NOT EXISTS (SELECT FROM serving_data.builds WHERE table_name = tables.relname)
          AND NOT EXISTS (
            SELECT FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = pg_depend.objid
            WHERE pg_depend.classid = 'pg_rewrite'::regclass AND pg_depend.refobjid = tables.oid
          )
        ORDER BY tables.relname
        """,
        (f"^{re.escape(mart)}__{_VERSION}$",),
    ).fetchall()
    return [row[0] for row in rows]


def _dropped(postgres: psycopg.Connection, table: str) -> bool:
    try:
        with postgres.transaction():
            postgres.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_DROP_LOCK_TIMEOUT))
            postgres.execute(sql.SQL("DROP TABLE serving_data.{}").format(sql.Identifier(table)))
            postgres.execute("DELETE FROM serving_data.key_ranges WHERE table_name = %s", (table,))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _holder(postgres: psycopg.Connection, key: str) -> str:
    row = postgres.execute(
        """
        SELECT format('pid %%s (%%s, since %%s)', pid, application_name, date_trunc('second', backend_start))
        FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)
        """,
        (key,),
    ).fetchone()
    return str(row[0]) if row else "a session that has just ended"
