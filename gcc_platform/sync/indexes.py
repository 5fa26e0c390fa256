"""Creates a mart's declared indexes on a table in PostgreSQL."""

import psycopg
from psycopg import sql

from gcc_platform.sync.declared_indexes import Index, Key
from gcc_platform.sync.marts import Mart


def create(postgres: psycopg.Connection, mart: Mart, table: str) -> None:
    """Create them on a table of serving_data, except those whose extension the server does not have."""
    for index in mart.indexes:
        schema = _schema_of(postgres, index.extension)
        if schema is not None:
            postgres.execute(_statement(index, table, schema))


def _statement(index: Index, table: str, schema: str) -> sql.Composed:
    return sql.SQL("CREATE INDEX ON serving_data.{} USING {} ({})").format(
        sql.Identifier(table),
        sql.Identifier(index.method),
        sql.SQL(", ").join(_key(key, schema) for key in index.keys),
    )


def _key(key: Key, schema: str) -> sql.Composable:
    if not schema or not key.operator_class:
        return sql.SQL(key.text)  # checked when the definitions were loaded
    operator_class = sql.Identifier(schema, key.operator_class)
    return sql.SQL("{} {} {}").format(sql.SQL(key.value), operator_class, sql.SQL(key.order))


def _schema_of(postgres: psycopg.Connection, extension: str) -> str | None:
    """The schema of an extension's operator classes, which need not be on the search path; None if it is missing.

    Empty if the index needs no extension.
    """
    if not extension:
        return ""
    row = postgres.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = %s",
        (extension,),
    ).fetchone()
    return str(row[0]) if row else None
