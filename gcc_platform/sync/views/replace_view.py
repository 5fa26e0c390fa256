"""Creates the PostgreSQL functions that replace a view, which the sync and dbt's materialization call."""

import hashlib
from functools import cache
from importlib.resources import files

import psycopg
from psycopg import sql

_FILES = ("view_catalog.sql", "view_refusals.sql", "replace_view.sql")
_SIGNATURE = "serving.replace_view(text, text, text, integer, integer, double precision)"

# Every mart's sync may find them missing at once.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('serving.replace_view', 0))"

# Of the roles that may read the schema, only the owners of views need them.
_CALLERS = """
SELECT rolname FROM pg_roles
WHERE NOT has_function_privilege(oid, to_regprocedure(%s), 'EXECUTE')
  AND (rolname = 'dbt' OR oid = (SELECT nspowner FROM pg_namespace WHERE nspname = 'api'))
"""


def ensure(postgres: psycopg.Connection) -> None:
    """Create the functions if they are missing or of another release. The schema `serving` must exist."""
    if _is_current(postgres):
        return
    with postgres.transaction():
        postgres.execute(_LOCK)
        if not _is_current(postgres):
            _create(postgres)


def _is_current(postgres: psycopg.Connection) -> bool:
    """Whether the functions are those of this release, and their callers may execute them."""
    row = postgres.execute("SELECT obj_description(to_regprocedure(%s), 'pg_proc')", (_SIGNATURE,)).fetchone()
    return row == (_version(),) and not _denied(postgres)


def _denied(postgres: psycopg.Connection) -> list[str]:
    return [row[0] for row in postgres.execute(_CALLERS, (_SIGNATURE,)).fetchall()]


def _create(postgres: psycopg.Connection) -> None:
    postgres.execute(_source())
    postgres.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA serving FROM PUBLIC")
    for role in _denied(postgres):
        postgres.execute(sql.SQL("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA serving TO {}").format(sql.Identifier(role)))
    postgres.execute(sql.SQL("COMMENT ON FUNCTION {} IS {}").format(sql.SQL(_SIGNATURE), _version()))


@cache
def _source() -> bytes:
    folder = files("gcc_platform.sync.views")
    return b"".join(folder.joinpath(name).read_bytes() for name in _FILES)


@cache
def _version() -> str:
    """The functions' comment."""
    return f"gcc {hashlib.sha256(_source()).hexdigest()[:12]}"
