"""Changes by hand in PostgreSQL: somebody with rights updates, deletes and inserts rows of a served table."""

import random
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

Key = tuple[Any, ...]

_FLUSHED = 0.7
"""How often PostgreSQL has counted the rows before the next sync, as after minutes. If not, only their values show."""


def table_of(postgres: psycopg.Connection, mart: str) -> sql.Identifier:
    """The table behind a mart's view, by the view's definition."""
    [(schema, name)] = postgres.execute(
        "SELECT DISTINCT tables.relnamespace::regnamespace::text, tables.relname FROM pg_depend "
        "JOIN pg_rewrite ON pg_rewrite.oid = objid AND classid = 'pg_rewrite'::regclass "
        "JOIN pg_class AS tables ON tables.oid = refobjid AND refclassid = 'pg_class'::regclass "
        "WHERE ev_class = to_regclass(%s) AND tables.relkind = 'r'",
        (f"serving.{mart}",),
    ).fetchall()
    return sql.Identifier(schema, name)


def change(
    postgres: psycopg.Connection, mart: str, grain: Sequence[str], chance: random.Random, count: int, column: str
) -> list[Key]:
    """Update, delete and insert rows at random, each once. Returns their keys."""
    table, key = table_of(postgres, mart), sql.SQL(", ").join(map(sql.Identifier, grain))
    keys = postgres.execute(sql.SQL("SELECT {} FROM {} ORDER BY {}").format(key, table, key)).fetchall()
    chosen = chance.sample(keys, min(count, len(keys)))
    ways = chance.choices(("update", "delete", "insert"), k=len(chosen))
    changed = [_changed(postgres, table, grain, each, way, column) for each, way in zip(chosen, ways, strict=True)]
    if chance.random() < _FLUSHED:
        postgres.execute("SELECT pg_stat_force_next_flush()")
    return changed


def _changed(
    postgres: psycopg.Connection, table: sql.Identifier, grain: Sequence[str], key: Key, way: str, column: str
) -> Key:
    condition = sql.SQL("({}) = ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, grain)), sql.SQL(", ").join(map(sql.Literal, key))
    )
    if way == "delete":
        postgres.execute(sql.SQL("DELETE FROM {} WHERE {}").format(table, condition))
        return key
    if way == "update":
        statement = sql.SQL("UPDATE {} SET {} = coalesce({}, 0) % 1000 + 1000000007 WHERE {}")
        name = sql.Identifier(column)
        postgres.execute(statement.format(table, name, name, condition))
        return key
    return _copied(postgres, table, grain, key, condition)


def _copied(
    postgres: psycopg.Connection, table: sql.Identifier, grain: Sequence[str], key: Key, condition: sql.Composed
) -> Key:
    """Insert a copy of a row under a key that no mart has."""
    other = (*key[:1], f"{key[1]} by hand", *key[2:])
    row = postgres.execute(sql.SQL("SELECT * FROM {} WHERE {}").format(table, condition))
    names = [column.name for column in row.description or ()]
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    values = sql.SQL(", ").join(
        sql.Literal(other[grain.index(name)]) if name in grain else sql.Identifier(name) for name in names
    )
    postgres.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}").format(table, listed, values, table, condition)
    )
    return other
