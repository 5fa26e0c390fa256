"""Whether PostgreSQL still serves what was loaded. Nothing but a sync may write to it; somebody may have, by hand.

The tables of versions are never changed after they were loaded. PostgreSQL counts the rows that are inserted, updated
and deleted in each table, so a table that nobody wrote to is not read. Otherwise the rows say who wrote them: each has
the number of its transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from gcc_platform.sync import versions
from gcc_platform.sync.loaded import Loaded
from gcc_platform.sync.marts import Mart

_SHOWN_KEYS = 5


@dataclass(frozen=True)
class Drift:
    """How what is served differs from what was loaded."""

    loaded_rows: int
    served_rows: int
    changed_rows: int
    """Rows that were inserted or updated since."""
    keys: Sequence[str]
    """Some of their keys."""
    reason: str

    @property
    def description(self) -> str:
        """One sentence with the numbers."""
        return self.reason + (f", e.g. {'; '.join(self.keys)}" if self.keys else "")


def drift(postgres: psycopg.Connection, mart: Mart, loaded: Loaded) -> Drift | None:
    """The difference, or None."""
    table = versions.table_name(mart.name, loaded.version)
    if not _exists(postgres, "serving_data", table):
        return Drift(loaded.rows, 0, 0, (), f"the table serving_data.{table} was dropped")
    if not _is_served(postgres, mart.name, table):
        return Drift(loaded.rows, 0, 0, (), f"the view serving.{mart.name} was dropped or reads another table")
    if _is_untouched(postgres, table, loaded.rows):
        return None
    return _difference(postgres, mart, table, loaded)


def _exists(postgres: psycopg.Connection, schema: str, name: str) -> bool:
    quoted = sql.Identifier(schema, name).as_string(postgres)
    return postgres.execute("SELECT to_regclass(%s)", (quoted,)).fetchone() != (None,)


def _is_served(postgres: psycopg.Connection, mart: str, table: str) -> bool:
    row = postgres.execute(
        """
        SELECT count(*) FROM pg_depend
        JOIN pg_rewrite ON pg_rewrite.oid = objid AND classid = 'pg_rewrite'::regclass
        JOIN pg_class AS views ON views.oid = ev_class
        WHERE views.relnamespace = 'serving'::regnamespace AND views.relname = %s
          AND refobjid = to_regclass(%s) AND refclassid = 'pg_class'::regclass
        """,
        (mart, sql.Identifier("serving_data", table).as_string(postgres)),
    ).fetchone()
    return row is not None and row[0] > 0


def _is_untouched(postgres: psycopg.Connection, table: str, rows: int) -> bool:
    """By PostgreSQL's counters. A crash sets them to zero: then they say nothing."""
    row = postgres.execute(
        "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables "
        "WHERE schemaname = 'serving_data' AND relname = %s",
        (table,),
    ).fetchone()
    return row == (rows, 0, 0)


def _difference(postgres: psycopg.Connection, mart: Mart, table: str, loaded: Loaded) -> Drift | None:
    relation, by_others = sql.Identifier("serving_data", table), sql.SQL("xmin::text <> {}").format(loaded.xmin)
    [(served, changed)] = postgres.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {}").format(by_others, relation)
    ).fetchall()
    if served == loaded.rows and not changed:
        return None
    key = sql.SQL(", ").join(map(sql.Identifier, mart.grain))
    keys = postgres.execute(
        sql.SQL("SELECT concat_ws(', ', {}) FROM {} WHERE {} LIMIT {}").format(key, relation, by_others, _SHOWN_KEYS)
    ).fetchall()
    reason = f"{served} rows are served, {loaded.rows} were loaded; {changed} were inserted or updated since"
    return Drift(loaded.rows, served, changed, [row[0] for row in keys], reason)
