"""Whether somebody else than a sync wrote to a served table, or dropped what is served.

PostgreSQL counts the rows that are inserted, updated and deleted in each table, and the state has the numbers of the
syncs: a table whose counts are equal is not read. Otherwise its rows say who wrote them: each carries the number of its
transaction. A crash sets the counters to zero, and a sync that was killed has counted rows that it did not write: then
only the rows say anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from gcc_platform.sync.key_ranges import KeyRanges
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.state import State
from gcc_platform.sync.upserting import SHOWN_KEYS, key_as_text


@dataclass(frozen=True)
class Written:
    """What others have written."""

    reason: str
    rows: int = 0
    """Rows that were inserted or updated."""
    missing: int = 0
    """Rows fewer than the syncs have written; negative if there are more."""
    keys: Sequence[str] = ()
    ranges: Sequence[int] = ()
    """The key ranges that have such rows."""

    @property
    def description(self) -> str:
        """One sentence with the numbers."""
        return self.reason + (f", e.g. {'; '.join(self.keys)}" if self.keys else "")


def table_exists(postgres: psycopg.Connection, table: str) -> bool:
    """Whether serving_data has the table."""
    quoted = sql.Identifier("serving_data", table).as_string(postgres)
    return postgres.execute("SELECT to_regclass(%s)", (quoted,)).fetchone() != (None,)


def is_served(postgres: psycopg.Connection, mart: str, table: str) -> bool:
    """Whether the mart's view reads the table."""
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


def counted(postgres: psycopg.Connection, table: str) -> tuple[int, int, int, int]:
    """The rows inserted, updated and deleted by everybody, as PostgreSQL counts them, and the number of its file."""
    row = postgres.execute(
        "SELECT n_tup_ins, n_tup_upd, n_tup_del, pg_relation_filenode(relid) FROM pg_stat_user_tables "
        "WHERE schemaname = 'serving_data' AND relname = %s",
        (table,),
    ).fetchone()
    return (int(row[0]), int(row[1]), int(row[2]), int(row[3])) if row else (0, 0, 0, 0)


def written(postgres: psycopg.Connection, mart: Mart, served: State, ranges: KeyRanges) -> Written | None:
    """What others have written to a table whose counters differ from the state's; None if nothing. Reads the table."""
    rows = postgres.execute(
        sql.SQL(
            "SELECT {number}, count(*), count(*) FILTER (WHERE {later}), "
            "(array_agg({key}) FILTER (WHERE {later}))[1:{shown}] FROM {table} AS t GROUP BY 1"
        ).format(
            number=ranges.number_of("t"),
            # Numbers of transactions wrap around; their age does not.
            later=sql.SQL("age(t.xmin) < age({}::xid8::xid)").format(sql.Literal(served.written_by)),
            key=key_as_text(mart),
            shown=sql.Literal(SHOWN_KEYS),
            table=sql.Identifier("serving_data", served.table_name),
        )
    ).fetchall()
    present = {number: (count, changed) for number, count, changed, _ in rows}
    odd = [
        each.number for each in ranges.ranges if (found := present.get(each.number, (0, 0)))[0] != each.rows or found[1]
    ]
    if not odd:
        return None
    total, changed = sum(count for count, _ in present.values()), sum(changed for _, changed in present.values())
    keys = [key for _, _, _, keys in rows for key in keys or ()][:SHOWN_KEYS]
    reason = f"{total} rows are served, {served.rows} were loaded; {changed} were inserted or updated by somebody since"
    return Written(reason, changed, served.rows - total, keys, odd)
