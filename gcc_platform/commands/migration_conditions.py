"""Checks of a migration, while GCC_LEGACY_URL is set: its users, and what must be true of the old database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from gcc_platform.commands import privileges
from gcc_platform.commands.finding import Finding
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.resources import clickhouse, postgres

_SUBJECT = "the old PostgreSQL"
_AHEAD = timedelta(minutes=5)
_INIT = "run gcc-platform migration init, or have its DBA run the output of gcc-platform migration init --print"

_STATE = """SELECT pg_is_in_recovery(), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user"""
_TABLES = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
_HAS_EVENT_ID = """
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = %(table)s::regclass AND attname = 'event_id'
        AND NOT attisdropped),
    EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%(index)s) AND indisvalid)
"""
_CACHE = "SELECT seqcache FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence(%s, 'id')::regclass"


def examine(settings: MigrationSettings) -> Iterator[Finding]:
    """Check each; nothing if no company moves over. Raises UserError and psycopg.Error."""
    if not settings.is_on:
        return
    with clickhouse.connect(settings.clickhouse, {"command": "doctor"}) as server:
        yield from privileges.of_clickhouse(server, "ClickHouse, migration", "migration")
    with postgres.connect(settings.state, "gcc-platform doctor") as own:
        yield from privileges.of_postgres(own, "PostgreSQL, migration", "migration")
    with postgres.connect(settings.legacy, "gcc-platform doctor") as old:
        yield from _of_server(old)
        names = {name for (name,) in old.execute(_TABLES, [list(LEGACY_TABLES)])}
        yield Finding(_SUBJECT, bool(names), f"{len(names)} log tables", "is GCC_LEGACY_URL the right database?")
        for table in LEGACY_TABLES.values():
            if table.name in names:
                yield from _of_table(old, table, settings.database.zone(table.name))


def _of_server(old: psycopg.Connection) -> Iterator[Finding]:
    is_replica, may_see, user = _one(old, _STATE)
    yield Finding(
        _SUBJECT,
        not is_replica,
        "is a replica" if is_replica else "is a primary",
        "the tail, the reverse writer and the plan of a backfill need the primary",
    )
    yield Finding(
        _SUBJECT,
        bool(may_see),
        f"{user} {'sees' if may_see else 'does not see'} all transactions",
        f'GRANT pg_read_all_stats TO "{user}": the tail would lose rows',
    )


def _of_table(old: psycopg.Connection, table: LegacyTable, zone: str) -> Iterator[Finding]:
    subject = f"{_SUBJECT}, {table.name}"
    column, index = _one(old, _HAS_EVENT_ID, {"table": table.name, "index": f"{table.name}_event_id"})
    prepared = "has the column event_id and its index" if column and index else "lacks the column event_id or its index"
    yield Finding(subject, bool(column and index), prepared, _INIT)
    cache = old.execute(_CACHE, [table.name]).fetchone()
    if cache:
        advice = "ALTER SEQUENCE ... CACHE 1: the tail misses rows of a session that keeps ids for later"
        yield Finding(subject, cache[0] == 1, f"its sequence has CACHE {cache[0]}", advice)
    newest = old.execute(
        f"SELECT {table.time} FROM {table.name} WHERE {table.time} IS NOT NULL ORDER BY id DESC LIMIT 1".encode()  # noqa: S608  names of ours
    ).fetchone()
    if newest:
        ahead = newest[0].replace(tzinfo=ZoneInfo(zone)) - datetime.now(UTC)
        advice = f"GCC_LEGACY_ZONE is {zone} for {table.name}: set it to the zone of the crawlers' clocks"
        shown = f"its newest time is {newest[0]:%Y-%m-%d %H:%M:%S} in {zone}"
        yield Finding(subject, ahead < _AHEAD, shown, advice)


def _one(old: psycopg.Connection, query: str, parameters: dict[str, Any] | None = None) -> tuple[Any, ...]:
    row = old.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row
