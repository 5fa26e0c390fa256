"""Loads a version of a mart into PostgreSQL: readers see all of the old version until they see all of the new one.

Readers query the view `serving.<mart>`; the rows are in `serving_data.<mart>__<version>`. One transaction builds a
version and swaps it in, so any failure (ClickHouse disconnects, rows are missing, the process is killed) rolls it back.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync import loaded, versions, view
from gcc_platform.sync.columns import Column, columns_of
from gcc_platform.sync.content import Content, content
from gcc_platform.sync.drift import Drift, drift
from gcc_platform.sync.loaded import Loaded
from gcc_platform.sync.marts import Mart
from ingest_service.errors import UserError

_NAME_BYTES = 63


class IncompleteCopy(UserError):
    """The numbers of rows sent, copied and in the mart differ; the old version stays."""


class GrainBroken(UserError):
    """The mart has duplicate rows or NULLs in its grain; the old version stays."""


@dataclass(frozen=True)
class Snapshot:
    """The result of one sync."""

    version: str
    rows: int
    sent_bytes: int
    table_bytes: int
    seconds: float
    swap_attempts: int
    dropped_views: Sequence[str] = field(default=())
    """Views over the mart that were dropped because a column was removed or retyped; dbt creates them again."""
    mart_rows: int = 0
    """The rows of the mart in ClickHouse."""
    drift: Drift | None = None
    """How PostgreSQL differed from what was loaded before; None if it did not. It is repaired by this sync."""
    is_copied: bool = True
    """False if the mart's rows are those that are served already."""


def new_version() -> str:
    """A new version's name: its time, then a random suffix. Names sort by time."""
    return f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(2)}"


def sync(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    version: str,
    retry: view.SwapRetry = view.DEFAULT_RETRY,
) -> Snapshot:
    """Serve the mart's present rows. `postgres` must be in autocommit mode.

    Nothing is copied if the mart has not changed and PostgreSQL serves what was loaded. Raises AlreadySyncing,
    NoSuchMart, UnsupportedColumn, ClickHouseFailed, IncompleteCopy, GrainBroken, ViewBusy.
    """
    started = time.monotonic()
    columns = columns_of(clickhouse, mart.database, mart.name, mart.jsonb)
    versions.create_schemas(postgres)
    loaded.create(postgres)
    with versions.mart_lock(postgres, mart.name):
        before = loaded.read(postgres, mart.name)
        drifted = drift(postgres, mart, before) if before else None
        present = content(clickhouse, mart, columns, before)
        layout = loaded.layout(mart, columns)
        if (
            before
            and not drifted
            and (before.content, before.rows, before.layout)
            == (
                present.checksum,
                present.rows,
                layout,
            )
        ):
            return _unchanged(postgres, mart, before, present, started)
        snapshot = _load(clickhouse, postgres, mart, version, columns, present, retry, started)
    return replace(snapshot, drift=drifted)


def _unchanged(postgres: psycopg.Connection, mart: Mart, before: Loaded, present: Content, started: float) -> Snapshot:
    """Serve on what is served. Its table may have other parts by now, e.g. after a merge."""
    if present.source != before.source:
        loaded.record(postgres, mart.name, replace(before, source=present.source))
    versions.drop_old_versions(postgres, mart.name)
    table_bytes = _table_bytes(postgres, _table_name(mart, before.version))
    seconds = time.monotonic() - started
    return Snapshot(before.version, before.rows, 0, table_bytes, seconds, 0, mart_rows=present.rows, is_copied=False)


def _load(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    version: str,
    columns: Sequence[Column],
    present: Content,
    retry: view.SwapRetry,
    started: float,
) -> Snapshot:
    """Copy all rows into a new version, and swap it in."""
    table = _table_name(mart, version)
    with postgres.transaction():
        postgres.execute(_create_table(table, columns))
        rows, sent_bytes = _copy(clickhouse, postgres, mart, table, columns)
        _index(postgres, mart, table)
        table_bytes = _table_bytes(postgres, table)
        xmin = loaded.xmin(postgres, table)
        layout = loaded.layout(mart, columns)
        loaded.record(postgres, mart.name, Loaded(version, rows, present.checksum, present.source, layout, xmin))
        swapped = view.swap(postgres, mart.name, table, retry)
    versions.drop_old_versions(postgres, mart.name)
    seconds = time.monotonic() - started
    return Snapshot(
        version, rows, sent_bytes, table_bytes, seconds, swapped.attempts, swapped.dropped_views, mart_rows=rows
    )


def _table_name(mart: Mart, version: str) -> str:
    name = versions.table_name(mart.name, version)
    if len(name.encode()) > _NAME_BYTES:
        raise ValueError(f"{name}: PostgreSQL truncates names to {_NAME_BYTES} bytes; give the mart a shorter name")
    return name


def _create_table(table: str, columns: Sequence[Column]) -> sql.Composed:
    return sql.SQL("CREATE TABLE serving_data.{} ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(
            # The type is one of columns.py's constants, never text from the server.
            sql.SQL("{} " + column.postgres_type).format(sql.Identifier(column.name))
            for column in columns
        ),
    )


def _copy(
    clickhouse: ClickHouse, postgres: psycopg.Connection, mart: Mart, table: str, columns: Sequence[Column]
) -> tuple[int, int]:
    """Stream the rows to PostgreSQL. Returns the numbers of rows and bytes. Raises IncompleteCopy."""
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
    expected = clickhouse.rows(f"SELECT count() FROM {source}")[0][0]  # noqa: S608  quoted
    if not sent_rows == copied == expected:
        raise IncompleteCopy(
            f"{mart.name}: ClickHouse sent {sent_rows} rows, PostgreSQL took {copied}, and the mart has {expected}. "
            "The old version is still served. If the mart changed during the copy, sync again."
        )
    return sent_rows, sent_bytes


def _select(source: str, columns: Sequence[Column]) -> str:
    listed = ", ".join(column.expression for column in columns)
    return f"SELECT {listed} FROM {source}"  # noqa: S608  names are quoted, the rest is columns.py's


def _index(postgres: psycopg.Connection, mart: Mart, table: str) -> None:
    """Create primary key, indexes and statistics before readers see the table. Raises GrainBroken."""
    try:
        postgres.execute(
            sql.SQL("ALTER TABLE serving_data.{} ADD PRIMARY KEY ({})").format(
                sql.Identifier(table), _identifiers(mart.grain)
            )
        )
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        reason = re.sub(r"\s+", " ", error.diag.message_detail or error.diag.message_primary or "")
        raise GrainBroken(
            f"{mart.name}: its grain ({', '.join(mart.grain)}) does not make a row unique: {reason} "
            "The old version is still served. Correct the model, or meta.grain in its yml."
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
