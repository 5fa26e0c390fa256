"""Checks of PostgreSQL as a server: settings that nobody has chosen, and files that a crash has left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from gcc_platform import grants
from gcc_platform.commands.finding import Finding

_SETTLED = "10 minutes"
"""No statement of the platform lasts as long: an older file is not being written."""


@dataclass(frozen=True)
class Stock:
    """A setting's value in PostgreSQL as it is installed, and a better one for serving an API."""

    value: str
    better: str


STOCK: Mapping[str, Stock] = {
    "max_connections": Stock("100", "200"),
    "shared_buffers": Stock("128MB", "a quarter of the memory that PostgreSQL may use"),
    "max_wal_size": Stock("1GB", "4GB"),
    "jit": Stock("on", "off"),
}

_SETTINGS = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name"

# A file is nobody's if no relation of this database has its number. A transaction that is running may have created it:
# its relation is in no catalog yet, and the times of files are whole seconds. The names of temporary relations, which
# PostgreSQL removes itself, begin with t.
_ORPHANS = r"""
WITH files AS MATERIALIZED (
    SELECT format('base/%%s/%%s', pg_database.oid, name) AS path, substring(name FROM '^\d+')::oid AS number
    FROM pg_database, pg_ls_dir('base/' || pg_database.oid) AS name
    WHERE datname = current_database() AND name ~ '^\d+(_(fsm|vm|init))?(\.\d+)?$'
)
SELECT count(*), coalesce(sum(size), 0)::bigint, min(path)
FROM files, pg_stat_file(path, true)
WHERE size > 0
  AND number NOT IN (
    SELECT pg_relation_filenode(oid) FROM pg_class WHERE reltablespace = 0 AND pg_relation_filenode(oid) IS NOT NULL
  )
  AND modification < now() - %s::interval
  AND modification < (SELECT date_trunc('second', coalesce(min(xact_start), now())) FROM pg_stat_activity)
"""


def examine(connection: psycopg.Connection, subject: str, settled: str = _SETTLED) -> Iterator[Finding]:
    """Check the settings, and the files below base/ of the connected database that are older than `settled`."""
    yield _settings(connection, subject)
    yield _files(connection, subject, settled)


def _settings(connection: psycopg.Connection, subject: str) -> Finding:
    values: dict[str, str] = dict(connection.execute(_SETTINGS, (list(STOCK),)).fetchall())
    stock = {name: STOCK[name] for name, value in values.items() if value == STOCK[name].value}
    if not stock:
        return Finding(subject, True, ", ".join(f"{name} = {value}" for name, value in values.items()))
    listed = ", ".join(f"{name} = {setting.value}" for name, setting in stock.items())
    message = f"as PostgreSQL is installed: {listed}"
    better = ", ".join(f"{name} = {setting.better}" for name, setting in stock.items())
    advice = f"for an API of 100 clients: ALTER SYSTEM SET {better}; then restart PostgreSQL"
    return Finding(subject, True, message, advice, is_hint=True)


def _files(connection: psycopg.Connection, subject: str, settled: str) -> Finding:
    try:
        [(files, size, first)] = connection.execute(_ORPHANS, (settled,)).fetchall()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile):
        message = "this role may not list the files below base/: what a crash has left there is unknown"
        return Finding(subject, True, message, f"run {grants.POSTGRES} as a superuser", is_hint=True)
    if not files:
        return Finding(subject, True, "every file below base/ belongs to a relation")
    message = f"{size:,} bytes below base/ in {files} files belong to no relation, e.g. {first}: a crash has left them"
    advice = (
        "stop PostgreSQL, move these files to another folder, start it, and delete them once all is well; "
        "or dump the database and restore it"
    )
    return Finding(subject, True, message, advice, is_hint=True)
