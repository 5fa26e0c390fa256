"""The doctor names PostgreSQL's settings that nobody has chosen, and what a crash has left on its disk."""

import os
import signal
from collections.abc import Mapping

import psycopg

from gcc_platform.commands import postgres_conditions
from gcc_platform.commands.finding import Finding
from gcc_platform.resources import postgres
from tests.harness.running import eventually


def found(connection: psycopg.Connection) -> tuple[Finding, Finding]:
    settings, files = postgres_conditions.examine(connection, "PostgreSQL", settled="0 s")
    return settings, files


def test_settings_as_installed_are_named_with_better_ones(stack: Mapping[str, str]) -> None:
    with postgres.connect(stack["POSTGRES_URL"], "test") as connection:
        settings, _ = found(connection)
    assert (settings.ok, settings.is_hint) == (True, True)
    assert settings.message == (
        "as PostgreSQL is installed: max_connections = 100, max_wal_size = 1GB, shared_buffers = 128MB"
    )
    assert "ALTER SYSTEM SET max_connections = 200, max_wal_size = 4GB, shared_buffers = a quarter" in settings.advice


def test_a_role_that_may_not_list_files_says_so(stack: Mapping[str, str]) -> None:
    with postgres.connect(stack["GCC_DBT_POSTGRES_URL"], "test") as connection:
        _, files = found(connection)
    assert (files.ok, files.is_hint) == (True, True)
    assert files.message.startswith("this role may not list the files below base/")
    assert "deploy/grants/postgres.sql" in files.advice


def test_what_a_killed_backend_has_left_is_counted_and_a_table_that_is_being_built_is_not(old_server: str) -> None:
    building = psycopg.connect(old_server)
    with psycopg.connect(old_server, autocommit=True) as other:
        other.execute("SET ROLE sync")
        before = found(other)[1].message
        building.execute("CREATE TABLE built AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        assert found(other)[1].message == before
        os.kill(building.info.backend_pid, signal.SIGKILL)
        eventually(lambda: _is_lost(other))  # until the server has noticed, it takes connections, and then ends them
    building.close()
    _wait_until_recovered(old_server)
    with psycopg.connect(old_server, autocommit=True) as other:
        other.execute("SET ROLE sync")
        eventually(lambda: found(other)[1].is_hint)
        _, files = found(other)
    assert before == "every file below base/ belongs to a relation"
    assert (files.ok, files.is_hint) == (True, True)
    assert int(files.message.partition(" bytes")[0].replace(",", "")) >= 5_000_000
    assert "belong to no relation, e.g. base/" in files.message


def _is_lost(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def _wait_until_recovered(url: str) -> None:
    def is_up() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    eventually(is_up)
