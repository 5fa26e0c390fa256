"""One batch of a mart into PostgreSQL: readers see the whole old batch until they see the whole new one.

Readers know the view `serving.<mart>`; the rows are in `serving_data.<mart>__<batch>`. A batch is built and swapped in
by one transaction, so whatever goes wrong (ClickHouse breaks off, rows are missing, this process is killed) undoes it.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from gcc_platform.defs.serving import batches, view
from gcc_platform.defs.serving.columns import Column, columns_of
from gcc_platform.defs.serving.marts import Mart
from gcc_platform.resources.clickhouse import ClickHouse, quoted

_NAME_BYTES = 63


class AlreadySyncing(Exception):
    """Another session is syncing the same mart; the message says which."""


class IncompleteCopy(Exception):
    """What arrived is not what the mart has; the old batch stays."""


class GrainBroken(Exception):
    """The mart has two rows, or a NULL, where its grain allows one; the old batch stays."""


@dataclass(frozen=True)
class Snapshot:
    """What one sync did."""

    batch: str
    rows: int
    sent_bytes: int
    table_bytes: int
    seconds: float
    swap_attempts: int
    dropped_views: Sequence[str] = field(default=())
    """Views over the mart that a removed or retyped column took along; dbt builds them again."""


def new_batch() -> str:
    """A name for a batch: its time, then chance. It sorts by time."""
    return f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(2)}"


def sync(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    batch: str,
    patience: view.Patience = view.DEFAULT_PATIENCE,
) -> Snapshot:
    """Serve a mart as it is now. `postgres` must be in autocommit mode.

    Raises AlreadySyncing, NoSuchMart, UnsupportedColumn, ClickHouseFailed, IncompleteCopy, GrainBroken, ViewBusy.
    """
    started = time.monotonic()
    table = _table_name(mart, batch)
    columns = columns_of(clickhouse, mart.database, mart.name)
    batches.create_schemas(postgres)
    with batches.only_one(postgres, mart.name) as holder:
        if holder is not None:
            raise AlreadySyncing(f"{mart.name} is being synced by {holder}: wait for it, or end that session")
        with postgres.transaction():
            postgres.execute(_create_table(table, columns))
            rows, sent_bytes = _copy(clickhouse, postgres, mart, table, columns)
            _index(postgres, mart, table)
            table_bytes = _table_bytes(postgres, table)
            swapped = view.swap(postgres, mart.name, table, patience)
        batches.drop_unserved(postgres, mart.name)
    seconds = time.monotonic() - started
    return Snapshot(batch, rows, sent_bytes, table_bytes, seconds, swapped.attempts, swapped.dropped_views)


def _table_name(mart: Mart, batch: str) -> str:
    name = batches.table_name(mart.name, batch)
    if len(name.encode()) > _NAME_BYTES:
        raise ValueError(f"{name}: PostgreSQL cuts names at {_NAME_BYTES} bytes; give the mart a shorter name")
    return name


def _create_table(table: str, columns: Sequence[Column]) -> sql.Composed:
    return sql.SQL("CREATE TABLE serving_data.{} ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(
            # The type is one of columns.py's own words, never the server's.
            sql.SQL("{} " + column.postgres_type).format(sql.Identifier(column.name))
            for column in columns
        ),
    )


def _copy(
    clickhouse: ClickHouse, postgres: psycopg.Connection, mart: Mart, table: str, columns: Sequence[Column]
) -> tuple[int, int]:
    """Stream the rows over; how many rows and bytes that was. Raises IncompleteCopy."""
    source = f"{quoted(mart.database)}.{quoted(mart.name)}"
    # FREEZE: a reader whose REPEATABLE READ snapshot is older than the swap would see an empty table without it.
    statement = sql.SQL("COPY serving_data.{} ({}) FROM STDIN WITH (FREEZE, ENCODING 'UTF8')").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    sent_rows = sent_bytes = 0
    with postgres.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for chunk in clickhouse.tab_separated(_select(source, columns)):
                sent_rows += chunk.count(b"\n")
                sent_bytes += len(chunk)
                copy.write(chunk)
        copied = cursor.rowcount
    there = clickhouse.rows(f"SELECT count() FROM {source}")[0][0]  # noqa: S608  quoted
    if not sent_rows == copied == there:
        raise IncompleteCopy(
            f"{mart.name}: ClickHouse sent {sent_rows} rows, PostgreSQL took {copied}, and the mart has {there}. "
            "The old batch is still served. If the mart was written meanwhile, sync again."
        )
    return sent_rows, sent_bytes


def _select(source: str, columns: Sequence[Column]) -> str:
    listed = ", ".join(column.expression for column in columns)
    return f"SELECT {listed} FROM {source}"  # noqa: S608  names are quoted, the rest is columns.py's


def _index(postgres: psycopg.Connection, mart: Mart, table: str) -> None:
    """Primary key, indexes and statistics, before anyone reads. Raises GrainBroken."""
    try:
        postgres.execute(
            sql.SQL("ALTER TABLE serving_data.{} ADD PRIMARY KEY ({})").format(
                sql.Identifier(table), _identifiers(mart.grain)
            )
        )
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        why = re.sub(r"\s+", " ", error.diag.message_detail or error.diag.message_primary or "")
        raise GrainBroken(
            f"{mart.name}: its grain ({', '.join(mart.grain)}) does not make a row unique: {why} "
            "The old batch is still served. Correct the model, or meta.grain in its yml."
        ) from None
    for columns in mart.indexes:
        postgres.execute(
            sql.SQL("CREATE INDEX ON serving_data.{} ({})").format(sql.Identifier(table), _identifiers(columns))
        )
    postgres.execute(sql.SQL("ANALYZE serving_data.{}").format(sql.Identifier(table)))


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _table_bytes(postgres: psycopg.Connection, table: str) -> int:
    name = sql.Identifier("serving_data", table).as_string(postgres)
    row = postgres.execute("SELECT pg_total_relation_size(%s::regclass)", (name,)).fetchone()
    return int(row[0]) if row else 0
