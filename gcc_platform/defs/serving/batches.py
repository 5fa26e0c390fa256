"""The tables behind the served views: where they are, who may build one, and how old ones go."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

_DROP_PATIENCE = "100ms"
_BATCH = r"\d{12}[0-9a-f]{4}"
_SCHEMAS: tuple[LiteralString, ...] = ("serving", "serving_data")


def table_name(mart: str, batch: str) -> str:
    """The table of one batch, in serving_data."""
    return f"{mart}__{batch}"


def create_schemas(postgres: psycopg.Connection) -> None:
    """Make `serving` and `serving_data` where they are missing.

    Asked first because CREATE SCHEMA IF NOT EXISTS wants the right to create schemas even where there is nothing to do.
    """
    for schema in _SCHEMAS:
        if postgres.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,):
            postgres.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


@contextmanager
def only_one(postgres: psycopg.Connection, mart: str) -> Iterator[str | None]:
    """Be the only one who builds batches of a mart; gives None, or else who is doing so already.

    The lock is the session's: it ends with the connection, however that ends.
    """
    key = f"serving.{mart}"
    row = postgres.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row == (False,):
        yield _holder(postgres, key)
        return
    try:
        yield None
    finally:
        if not postgres.closed:
            postgres.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))


def drop_unserved(postgres: psycopg.Connection, mart: str) -> list[str]:
    """Drop the batches that the mart's view does not read; gives those that stay because someone still reads them.

    What stays now goes with the next sync: this never waits for a reader.
    """
    return [table for table in _unserved(postgres, mart) if not _dropped(postgres, table)]


def _unserved(postgres: psycopg.Connection, mart: str) -> list[str]:
    rows = postgres.execute(
        """
        SELECT tables.relname
        FROM pg_class AS tables
        WHERE tables.relnamespace = 'serving_data'::regnamespace AND tables.relkind = 'r' AND tables.relname ~ %s
          AND NOT EXISTS (
            SELECT FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = pg_depend.objid
            WHERE pg_depend.classid = 'pg_rewrite'::regclass AND pg_depend.refobjid = tables.oid
          )
        ORDER BY tables.relname
        """,
        (f"^{re.escape(mart)}__{_BATCH}$",),
    ).fetchall()
    return [row[0] for row in rows]


def _dropped(postgres: psycopg.Connection, table: str) -> bool:
    try:
        with postgres.transaction():
            postgres.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_DROP_PATIENCE))
            postgres.execute(sql.SQL("DROP TABLE serving_data.{}").format(sql.Identifier(table)))
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
