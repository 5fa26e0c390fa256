"""The view that readers query: swaps the table behind it without making readers wait for long."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingest_service.errors import UserError


class ViewBusy(UserError):
    """Readers kept the view locked during every attempt of the swap; the old version stays."""


@dataclass(frozen=True)
class SwapRetry:
    """How often a swap is attempted. An attempt makes new readers wait for `lock_milliseconds` at most."""

    lock_milliseconds: int = 100
    pause_seconds: float = 0.25
    attempts: int = 120


DEFAULT_RETRY = SwapRetry()


@dataclass(frozen=True)
class Swapped:
    """The result of a swap."""

    attempts: int
    dropped_views: Sequence[str] = ()


def swap(postgres: psycopg.Connection, mart: str, table: str, retry: SwapRetry) -> Swapped:
    """Point `serving.<mart>` at a table of serving_data, inside the caller's transaction. Raises ViewBusy.

    An attempt that finds the view locked rolls back to its own savepoint: earlier work of the transaction stays.
    """
    old, new = _columns(postgres, "serving", mart), _columns(postgres, "serving_data", table)
    for attempt in range(1, retry.attempts + 1):
        try:
            with postgres.transaction():
                postgres.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(f"{retry.lock_milliseconds}ms"))
                if old.items() <= new.items():
                    _point(postgres, mart, table, [*old, *(name for name in new if name not in old)])
                    return Swapped(attempt)
                return Swapped(attempt, _replace(postgres, mart, table, list(new)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            time.sleep(retry.pause_seconds)
    raise ViewBusy(
        f"serving.{mart} was locked at each of {retry.attempts} attempts; the old version is still served. "
        "Look for a long transaction in pg_stat_activity (xact_start)"
    )


def _columns(postgres: psycopg.Connection, schema: str, relation: str) -> dict[str, str]:
    """A relation's columns and their types, in order; empty if it does not exist."""
    rows = postgres.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = to_regnamespace(%s) AND relname = %s AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        (schema, relation),
    ).fetchall()
    return dict(rows)


def _point(postgres: psycopg.Connection, mart: str, table: str, columns: Sequence[str]) -> None:
    """Replace the view's query. PostgreSQL permits new columns at the end, and keeps the views over it."""
    postgres.execute(
        sql.SQL("CREATE OR REPLACE VIEW serving.{} AS SELECT {} FROM serving_data.{}").format(
            sql.Identifier(mart), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
        )
    )


def _replace(postgres: psycopg.Connection, mart: str, table: str, columns: Sequence[str]) -> Sequence[str]:
    """Create the view again with its grants, for columns were removed or retyped. Returns the views dropped with it."""
    grants = postgres.execute(
        """
        SELECT privilege_type, CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END
        FROM pg_class, aclexplode(relacl)
        WHERE relnamespace = 'serving'::regnamespace AND relname = %s
        """,
        (mart,),
    ).fetchall()
    dropped = _views_over(postgres, mart)
    postgres.execute(sql.SQL("DROP VIEW serving.{} CASCADE").format(sql.Identifier(mart)))
    _point(postgres, mart, table, columns)
    for privilege, grantee in grants:
        postgres.execute(
            sql.SQL("GRANT {} ON serving.{} TO {}").format(
                sql.SQL(privilege),
                sql.Identifier(mart),
                sql.Identifier(grantee) if grantee is not None else sql.SQL("PUBLIC"),
            )
        )
    return dropped


def _views_over(postgres: psycopg.Connection, mart: str) -> Sequence[str]:
    rows = postgres.execute(
        """
        WITH RECURSIVE readers AS (
            SELECT pg_class.oid FROM pg_class WHERE relnamespace = 'serving'::regnamespace AND relname = %s
            UNION
            SELECT pg_rewrite.ev_class FROM readers
            JOIN pg_depend ON refobjid = readers.oid AND refclassid = 'pg_class'::regclass
                          AND classid = 'pg_rewrite'::regclass
            JOIN pg_rewrite ON pg_rewrite.oid = objid
        )
        SELECT oid::regclass::text FROM readers
        WHERE oid <> to_regclass(%s) ORDER BY 1
        """,
        (mart, f"serving.{sql.Identifier(mart).as_string(postgres)}"),
    ).fetchall()
    return [row[0] for row in rows]
