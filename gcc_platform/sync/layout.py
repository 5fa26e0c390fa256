"""The layout of a served table: its columns, key and indexes. A table of another layout is built again."""

import re
from collections.abc import Sequence

import psycopg
from psycopg import sql

from gcc_platform.sync import indexes
from gcc_platform.sync.column_types.columns import Column
from gcc_platform.sync.marts import Mart
from ingest_service.errors import UserError

UPSERTED = 100_000
"""The rows from which on a mart is upserted: a smaller one is copied in half a second."""
_NAME_BYTES = 63


class GrainBroken(UserError):
    """The mart has duplicate rows or NULLs in its grain; what was served before stays."""


def described(mart: Mart, columns: Sequence[Column]) -> str:
    """The layout as text, to compare."""
    listed = ", ".join(f"{column.name} {column.postgres_type}" for column in columns)
    return f"({listed}) grain {mart.grain} indexes {mart.indexes}"


def create(postgres: psycopg.Connection, table: str, columns: Sequence[Column], *, upserted: bool) -> None:
    """Create the table in serving_data, without key and indexes: rows are copied first.

    A table whose rows will be updated has room for that on each page, and is vacuumed when 2 % of it is dead.
    """
    if len(table.encode()) > _NAME_BYTES:
        raise ValueError(f"{table}: PostgreSQL truncates names to {_NAME_BYTES} bytes; give the mart a shorter name")
    options = " WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02)" if upserted else ""
    postgres.execute(
        sql.SQL("CREATE TABLE serving_data.{} ({})" + options).format(
            sql.Identifier(table),
            sql.SQL(", ").join(
                # The type is one of columns.py's constants, never text from the server.
                sql.SQL("{} " + column.postgres_type).format(sql.Identifier(column.name))
                for column in columns
            ),
        )
    )


def index(postgres: psycopg.Connection, mart: Mart, table: str) -> None:
    """Create primary key, indexes and statistics before readers see the table. Raises GrainBroken."""
    try:
        postgres.execute(
            sql.SQL("ALTER TABLE serving_data.{} ADD PRIMARY KEY ({})").format(
                sql.Identifier(table), _identifiers(mart.grain)
            )
        )
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        raise grain_broken(mart, error) from None
    indexes.create(postgres, mart, table)
    postgres.execute(sql.SQL("ANALYZE serving_data.{}").format(sql.Identifier(table)))


def grain_broken(mart: Mart, error: psycopg.Error) -> GrainBroken:
    """The error of a mart whose grain does not make a row unique."""
    reason = re.sub(r"\s+", " ", error.diag.message_detail or error.diag.message_primary or "")
    return GrainBroken(
        f"{mart.name}: its grain ({', '.join(mart.grain)}) does not make a row unique: {reason} "
        "The rows before are still served. Correct the model, or meta.grain in its yml."
    )


def size(postgres: psycopg.Connection, table: str) -> int:
    """The bytes of a table with its indexes."""
    name = sql.Identifier("serving_data", table).as_string(postgres)
    row = postgres.execute("SELECT pg_total_relation_size(to_regclass(%s))", (name,)).fetchone()
    return int(row[0] or 0) if row else 0


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
