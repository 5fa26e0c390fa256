"""What was loaded into PostgreSQL: a row per mart, written in the transaction that serves the version."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from gcc_platform.sync.columns import Column
from gcc_platform.sync.marts import Mart


@dataclass(frozen=True)
class Loaded:
    """The served version of a mart."""

    version: str
    rows: int
    content: str
    """The checksum of the mart's rows in ClickHouse, as they were sent (content.py)."""
    source: str
    """The state of the mart's table in ClickHouse; empty if it has none that can be compared."""
    layout: str
    """Columns, types, grain and indexes."""
    xmin: str
    """The transaction that wrote the rows, as each row names it; empty if there are none."""


_CREATE = """
CREATE TABLE IF NOT EXISTS serving_data.loaded (
    mart text PRIMARY KEY,
    version text NOT NULL,
    rows bigint NOT NULL,
    content text NOT NULL,
    source text NOT NULL,
    layout text NOT NULL,
    xmin_of_rows text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
)
"""


def create(postgres: psycopg.Connection) -> None:
    """Create the table if it is missing."""
    if postgres.execute("SELECT to_regclass('serving_data.loaded')").fetchone() == (None,):
        postgres.execute(_CREATE)


def read(postgres: psycopg.Connection, mart: str) -> Loaded | None:
    """The served version of a mart; None if none was recorded."""
    row = postgres.execute(
        "SELECT version, rows, content, source, layout, xmin_of_rows FROM serving_data.loaded WHERE mart = %s", (mart,)
    ).fetchone()
    return Loaded(*row) if row else None


def record(postgres: psycopg.Connection, mart: str, loaded: Loaded) -> None:
    """Replace the row of a mart."""
    postgres.execute(
        """
        INSERT INTO serving_data.loaded (mart, version, rows, content, source, layout, xmin_of_rows)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (mart) DO UPDATE SET
            version = excluded.version, rows = excluded.rows, content = excluded.content, source = excluded.source,
            layout = excluded.layout, xmin_of_rows = excluded.xmin_of_rows, loaded_at = now()
        """,
        (mart, loaded.version, loaded.rows, loaded.content, loaded.source, loaded.layout, loaded.xmin),
    )


def layout(mart: Mart, columns: Sequence[Column]) -> str:
    """What else than rows makes a version: if it differs, the mart is loaded again."""
    listed = ", ".join(f"{column.name} {column.postgres_type}" for column in columns)
    return f"({listed}) grain {mart.grain} indexes {mart.indexes}"


def xmin(postgres: psycopg.Connection, table: str) -> str:
    """The transaction that wrote the rows of a table just loaded; empty if it has none."""
    row = postgres.execute(
        sql.SQL("SELECT xmin::text FROM serving_data.{} LIMIT 1").format(sql.Identifier(table))
    ).fetchone()
    return str(row[0]) if row else ""
