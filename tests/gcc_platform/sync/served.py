"""A mart as PostgreSQL serves it: versions of its table that are swapped in, without ClickHouse."""

from dataclasses import dataclass, field
from typing import Any

import psycopg

from gcc_platform.sync import versions
from gcc_platform.sync.views import view
from gcc_platform.sync.views.view import Swapped, SwapRetry

BRIEF = SwapRetry(pause_seconds=0.01, attempts=3)


@dataclass
class Served:
    """`serving.<name>`, owned by the user of the connection."""

    sync: psycopg.Connection
    name: str
    retry: SwapRetry = field(default=BRIEF)
    _tables: list[str] = field(default_factory=list)

    @property
    def view(self) -> str:
        return f"serving.{self.name}"

    def serve(self, select: str) -> Swapped:
        """Build a version from a query, and swap it in as a sync does: in a transaction of its own."""
        table = versions.table_name(self.name, f"{len(self._tables):012d}abcd")
        self.sync.execute(f"CREATE TABLE serving_data.{table} AS {select}")
        self._tables.append(table)
        with self.sync.transaction():
            return view.swap(self.sync, self.name, table, self.retry)

    def drop(self) -> None:
        """Drop the view, with all views over it, and the tables."""
        self.sync.execute(f"DROP VIEW IF EXISTS {self.view} CASCADE")
        for table in self._tables:
            self.sync.execute(f"DROP TABLE serving_data.{table}")


_STATE = {
    "owner and options": "SELECT pg_get_userbyid(relowner), reloptions FROM pg_class WHERE oid = {view}",
    "query": "SELECT pg_get_viewdef({view})",
    "grants": "SELECT grantor::regrole::text, grantee::regrole::text, privilege_type, is_grantable FROM pg_class, "
    "aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE oid = {view} ORDER BY 1, 2, 3",
    "grants on columns": "SELECT attname, grantor::regrole::text, grantee::regrole::text, privilege_type, is_grantable "
    "FROM pg_attribute, aclexplode(attacl) WHERE attrelid = {view} ORDER BY 1, 2, 3, 4",
    "comments": "SELECT coalesce((SELECT attname FROM pg_attribute WHERE attrelid = objoid AND attnum = objsubid "
    "AND objsubid > 0), ''), description FROM pg_description WHERE objoid = {view} "
    "AND classoid = 'pg_class'::regclass ORDER BY 1",
}


def state(connection: psycopg.Connection, view: str) -> dict[str, list[Any]]:
    """All that makes a view, but for its columns' types."""
    return {
        name: connection.execute(query.format(view=f"'{view}'::regclass")).fetchall() for name, query in _STATE.items()
    }
