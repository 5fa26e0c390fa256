"""The state of each mart's sync: a row per mart, written in the transaction that writes the rows it describes.

So rows and state are never apart: a sync that is killed is repeated from the state before, which changes nothing twice.
A table that was built and could not be served yet has a row of the same columns in serving_data.builds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

Table = Literal["syncs", "builds"]


@dataclass(frozen=True)
class State:
    """What is served of a mart, or was built to be."""

    table_name: str
    """In serving_data."""
    layout: str
    """Columns, types, grain and indexes (layout.py)."""
    rows: int
    """In the table, by what was inserted and deleted: never counted again."""
    source_uuid: str
    """Of the table in ClickHouse; empty for a view."""
    source_parts: str
    """Its parts, as a hash: while it is equal, the rows are."""
    fingerprint: str
    """Of the rows in ClickHouse, where they were hashed; else empty."""
    watermarks: Mapping[str, int]
    """The greatest block number of each partition; empty without block numbers."""
    changed_in_place: int
    """The number of the newest change of rows in place, which block numbers do not show; 0 without one."""
    written_by: str
    """The last transaction that wrote to the table: whatever has a later one was written by somebody else."""
    writes: tuple[int, int, int, int]
    """Rows that syncs have inserted, updated and deleted, which PostgreSQL counts of everybody; and the number of the
    table's file, which TRUNCATE changes."""
    full_bytes: int
    """The size of the table and its indexes after it was copied in full."""
    mode: str
    run_id: str
    next_range: int = 0
    """The key range that the next sync compares (key_ranges.py)."""
    differences: int = field(default=0)
    """The number of syncs in a row that found the table different from the mart without a reason."""


_COLUMNS: LiteralString = """
    mart text PRIMARY KEY,
    table_name text NOT NULL,
    layout text NOT NULL,
    rows bigint NOT NULL,
    source_uuid text NOT NULL,
    source_parts text NOT NULL,
    fingerprint text NOT NULL,
    watermarks jsonb NOT NULL,
    changed_in_place bigint NOT NULL,
    written_by xid8 NOT NULL,
    writes bigint[] NOT NULL,
    full_bytes bigint NOT NULL,
    mode text NOT NULL,
    run_id text NOT NULL,
    next_range integer NOT NULL,
    differences integer NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    synced_at timestamptz NOT NULL DEFAULT now()
"""

_FRESHNESS = """
CREATE VIEW serving.freshness AS SELECT mart, rows, synced_at, changed_at FROM serving_data.syncs;
COMMENT ON VIEW serving.freshness IS 'As of when each mart is served.';
COMMENT ON COLUMN serving.freshness.synced_at IS 'When the mart was last found, or made, equal to the warehouse.';
COMMENT ON COLUMN serving.freshness.changed_at IS 'When a sync last changed a row of it.';
"""

_NAMES = [each.name for each in fields(State)]


def create(postgres: psycopg.Connection) -> None:
    """Create the tables if they are missing. The state of releases that copied every mart in full is dropped."""
    tables: tuple[Table, ...] = ("syncs", "builds")
    for table in tables:
        if _is_missing(postgres, f"serving_data.{table}"):
            postgres.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS serving_data.{} (" + _COLUMNS + ")").format(sql.Identifier(table))
            )
    if _is_missing(postgres, "serving.freshness"):
        postgres.execute(_FRESHNESS)
    if not _is_missing(postgres, "serving_data.loaded"):
        postgres.execute("DROP TABLE serving_data.loaded")


def read(postgres: psycopg.Connection, mart: str, table: Table = "syncs") -> State | None:
    """The state of a mart; None if it was never synced."""
    row = postgres.execute(
        sql.SQL("SELECT {} FROM serving_data.{} WHERE mart = %s").format(_names(), sql.Identifier(table)), (mart,)
    ).fetchone()
    return State(**_values(row)) if row else None


def present(postgres: psycopg.Connection, mart: str) -> State:
    """The state of a mart that was synced before. Raises LookupError if somebody has deleted it meanwhile."""
    found = read(postgres, mart)
    if found is None:
        raise LookupError(f"serving_data.syncs has no row of {mart}")
    return found


def record(postgres: psycopg.Connection, mart: str, state: State, table: Table = "syncs") -> None:
    """Replace the state of a mart, whose rows have changed."""
    values = [getattr(state, name) for name in _NAMES]
    postgres.execute(
        sql.SQL(
            "INSERT INTO serving_data.{} (mart, {}) VALUES (%s, {}) ON CONFLICT (mart) DO UPDATE SET "
            "({}, changed_at, synced_at) = ROW ({}, now(), now())"
        ).format(
            sql.Identifier(table),
            _names(),
            sql.SQL(", ").join(sql.SQL("%s::xid8") if name == "written_by" else sql.Placeholder() for name in _NAMES),
            _names(),
            sql.SQL(", ").join(sql.Identifier("excluded", name) for name in _NAMES),
        ),
        (mart, *map(_adapted, values)),
    )


def touch(postgres: psycopg.Connection, mart: str, state: State) -> None:
    """Record that the mart is served as it is in ClickHouse, and what was learnt of that. No row has changed."""
    postgres.execute(
        "UPDATE serving_data.syncs SET synced_at = now(), source_uuid = %s, source_parts = %s, watermarks = %s, "
        "changed_in_place = %s, writes = %s, next_range = %s, differences = %s, mode = %s, run_id = %s WHERE mart = %s",
        (
            state.source_uuid,
            state.source_parts,
            Jsonb(dict(state.watermarks)),
            state.changed_in_place,
            list(state.writes),
            state.next_range,
            state.differences,
            state.mode,
            state.run_id,
            mart,
        ),
    )


def forget(postgres: psycopg.Connection, mart: str, table: Table) -> None:
    """Delete the row of a mart."""
    postgres.execute(sql.SQL("DELETE FROM serving_data.{} WHERE mart = %s").format(sql.Identifier(table)), (mart,))


def this_transaction(postgres: psycopg.Connection) -> str:
    """The number of the present transaction, which the rows that it writes carry."""
    [(number,)] = postgres.execute("SELECT pg_current_xact_id()::text").fetchall()
    return str(number)


def _is_missing(postgres: psycopg.Connection, relation: str) -> bool:
    return postgres.execute("SELECT to_regclass(%s)", (relation,)).fetchone() == (None,)


def _names() -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, _NAMES))


def _values(row: tuple[Any, ...]) -> dict[str, Any]:
    values = dict(zip(_NAMES, row, strict=True))
    return values | {"writes": tuple(values["writes"]), "written_by": str(values["written_by"])}


def _adapted(value: object) -> object:
    if isinstance(value, Mapping):
        return Jsonb(dict(value))
    return list(value) if isinstance(value, tuple) else value
