"""The view readers know: pointing it at another table without keeping anyone waiting."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql


class ViewBusy(Exception):
    """Readers held the view for longer than the sync has patience; the old batch stays."""


@dataclass(frozen=True)
class Patience:
    """How long a swap keeps trying. Each try makes new readers wait no longer than `lock_milliseconds`."""

    lock_milliseconds: int = 100
    pause_seconds: float = 0.25
    attempts: int = 120


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True)
class Swapped:
    """How a swap went."""

    attempts: int
    dropped_views: Sequence[str] = ()


def swap(postgres: psycopg.Connection, mart: str, table: str, patience: Patience) -> Swapped:
    """Point `serving.<mart>` at a table of serving_data, inside the caller's transaction. Raises ViewBusy.

    A try that finds the view locked is undone alone: what the transaction did before stays done.
    """
    old, new = _columns(postgres, "serving", mart), _columns(postgres, "serving_data", table)
    for attempt in range(1, patience.attempts + 1):
        try:
            with postgres.transaction():
                postgres.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(f"{patience.lock_milliseconds}ms"))
                if old.items() <= new.items():
                    _point(postgres, mart, table, [*old, *(name for name in new if name not in old)])
                    return Swapped(attempt)
                return Swapped(attempt, _replace(postgres, mart, table, list(new)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            time.sleep(patience.pause_seconds)
    raise ViewBusy(
        f"serving.{mart} was locked at each of {patience.attempts} tries; the old batch is still served. "
        "See who has been in a transaction for long: TABLE pg_stat_activity (xact_start)"
    )


def _columns(postgres: psycopg.Connection, schema: str, relation: str) -> dict[str, str]:
    """A relation's columns and their types, in order; none where it does not exist."""
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
    """A view may be replaced by one with more columns, as long as they come last: views over it stay."""
    postgres.execute(
        sql.SQL("CREATE OR REPLACE VIEW serving.{} AS SELECT {} FROM serving_data.{}").format(
            sql.Identifier(mart), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
        )
    )


def _replace(postgres: psycopg.Connection, mart: str, table: str, columns: Sequence[str]) -> Sequence[str]:
    """Columns went or changed their type: a new view with the old one's grants. Gives the views over it, now gone."""
    grants = postgres.execute(
        """
        SELECT privilege_type, CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END
        FROM pg_class, aclexplode(relacl)
        WHERE relnamespace = 'serving'::regnamespace AND relname = %s
        """,
        (mart,),
    ).fetchall()
    gone = _views_over(postgres, mart)
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
    return gone


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
