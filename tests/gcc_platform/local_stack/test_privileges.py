"""Each user of the stack has the rights of its duty and no more."""

import re
from collections.abc import Iterator, Mapping

import aio_pika
import psycopg
import pytest
from aio_pika.exceptions import ProbableAuthenticationError
from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

from gcc_platform import grants
from gcc_platform.local_stack import clickhouse_configuration
from gcc_platform.local_stack import postgres as local_postgres

CLICKHOUSE_USERS = {
    "ingest": "CLICKHOUSE_URL",
    "dbt": "GCC_DBT_CLICKHOUSE_URL",
    "sync": "GCC_SYNC_CLICKHOUSE_URL",
    "analyst": "GCC_READER_CLICKHOUSE_URL",
    "migration": "GCC_MIGRATION_CLICKHOUSE_URL",
}


@pytest.fixture(scope="module")
def clickhouse(stack: Mapping[str, str]) -> Iterator[dict[str, Client]]:
    """A client for every user, and a table in each of both databases."""
    clients = {user: get_client(dsn=stack[name]) for user, name in CLICKHOUSE_USERS.items()}
    tables = {"ingest": "_e.privileges", "dbt": "warehouse.privileges"}
    for user, table in tables.items():
        clients[user].command(f"CREATE DATABASE IF NOT EXISTS {table.partition('.')[0]}")
        clients[user].command(f"CREATE OR REPLACE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
    yield clients
    for user, table in tables.items():
        clients[user].command(f"DROP TABLE {table}")
    for client in clients.values():
        client.close()


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("ingest", "INSERT INTO _e.privileges VALUES (1)"),
        ("ingest", "ALTER TABLE _e.privileges ADD COLUMN IF NOT EXISTS more String"),
        ("ingest", "SELECT count() FROM system.parts"),
        ("dbt", "SELECT count() FROM _e.privileges"),
        ("dbt", "INSERT INTO warehouse.privileges SELECT id FROM _e.privileges"),
        ("dbt", "CREATE OR REPLACE VIEW warehouse.privileges_view AS SELECT id FROM _e.privileges"),
        ("dbt", "DROP VIEW warehouse.privileges_view"),
        ("sync", "SELECT count() FROM _e.privileges"),
        ("sync", "SELECT count() FROM warehouse.privileges"),
        ("sync", "SELECT count() FROM system.query_log"),
        ("analyst", "SELECT count() FROM _e.privileges"),
        ("analyst", "SELECT count() FROM warehouse.privileges SETTINGS max_threads = 1"),
        ("migration", "INSERT INTO _e.privileges (id) VALUES (2)"),
        ("migration", "SELECT count() FROM warehouse.privileges"),
        ("migration", "CREATE DATABASE IF NOT EXISTS migration"),
    ],
)
def test_a_clickhouse_user_may_do_its_duty(clickhouse: dict[str, Client], user: str, statement: str) -> None:
    clickhouse[user].command(statement)


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("ingest", "SELECT count() FROM warehouse.privileges"),
        ("ingest", "CREATE DATABASE elsewhere"),
        ("dbt", "INSERT INTO _e.privileges VALUES (1)"),
        ("dbt", "DROP TABLE _e.privileges"),
        ("dbt", "CREATE DATABASE elsewhere"),
        ("dbt", "SELECT * FROM file('/etc/passwd', 'LineAsString')"),
        ("dbt", "CREATE TABLE warehouse.f (l String) ENGINE = File(LineAsString, '/etc/passwd')"),
        ("dbt", "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')"),
        ("sync", "INSERT INTO warehouse.privileges VALUES (1)"),
        ("sync", "ALTER TABLE _e.privileges DELETE WHERE 1"),
        ("analyst", "INSERT INTO warehouse.privileges VALUES (1)"),
        ("analyst", "DROP TABLE warehouse.privileges"),
        ("migration", "DROP TABLE _e.privileges"),
        ("migration", "ALTER TABLE _e.privileges DELETE WHERE 1"),
        ("migration", "INSERT INTO warehouse.privileges VALUES (1)"),
        ("analyst", "CREATE TABLE warehouse.mine (id UInt64) ENGINE = Memory"),
    ],
)
def test_a_clickhouse_user_may_not_do_more(clickhouse: dict[str, Client], user: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY"):
        clickhouse[user].command(statement)


def test_nobody_is_clickhouses_default_user(stack: Mapping[str, str]) -> None:
    host = stack["CLICKHOUSE_URL"].rpartition("@")[2]
    with pytest.raises(DatabaseError, match=r"USER_SESSION_LIMIT_EXCEEDED|AUTHENTICATION_FAILED"):
        get_client(dsn=f"http://default@{host}")


def test_clickhouse_inserts_synchronously_and_logs_queries_and_parts(clickhouse: dict[str, Client]) -> None:
    asynchronous = "SELECT value FROM system.settings WHERE name = 'async_insert'"
    assert clickhouse["ingest"].command(asynchronous) in (0, "0")
    logs = "SELECT count() FROM system.tables WHERE database = 'system' AND name IN ('query_log', 'part_log')"
    assert clickhouse["sync"].command(logs) == 2


@pytest.fixture
def postgres(stack: Mapping[str, str]) -> Iterator[dict[str, psycopg.Connection]]:
    """A connection for every role, and a view of sync's and one of dbt's over it."""
    names = {"sync": "POSTGRES_URL", "dbt": "GCC_DBT_POSTGRES_URL", "api": "GCC_READER_POSTGRES_URL"}
    connections = {role: psycopg.connect(stack[name], autocommit=True) for role, name in names.items()}
    connections["sync"].execute("CREATE TABLE serving_data.privileges AS SELECT 7 AS id")
    connections["sync"].execute("CREATE VIEW serving.privileges AS SELECT * FROM serving_data.privileges")
    connections["dbt"].execute("CREATE VIEW api.privileges AS SELECT * FROM serving.privileges")
    yield connections
    connections["dbt"].execute("DROP VIEW IF EXISTS api.privileges")
    connections["sync"].execute("DROP TABLE serving_data.privileges CASCADE")
    for connection in connections.values():
        connection.close()


@pytest.mark.parametrize(("role", "view"), [("dbt", "serving"), ("api", "api")])
def test_a_new_view_is_readable_downstream(postgres: dict[str, psycopg.Connection], role: str, view: str) -> None:
    assert postgres[role].execute(f"SELECT id FROM {view}.privileges").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("dbt", "SELECT * FROM serving_data.privileges"),
        ("dbt", "CREATE VIEW serving.mine AS SELECT 1"),
        ("dbt", "CREATE SCHEMA mine"),
        ("sync", "CREATE VIEW api.mine AS SELECT 1"),
        ("api", "SELECT * FROM serving_data.privileges"),
        ("api", "SELECT * FROM serving.privileges"),
        ("api", "DELETE FROM api.privileges"),
        ("api", "CREATE TABLE api.mine (id int)"),
        ("api", "CREATE TEMPORARY TABLE mine (id int)"),
    ],
)
def test_a_postgres_role_may_not_do_more(postgres: dict[str, psycopg.Connection], role: str, statement: str) -> None:
    postgres[role].execute("SET default_transaction_read_only = off")
    with pytest.raises(InsufficientPrivilege):
        postgres[role].execute(statement)


def test_the_apis_transactions_are_read_only(postgres: dict[str, psycopg.Connection]) -> None:
    with pytest.raises(ReadOnlySqlTransaction):
        postgres["api"].execute("CREATE TABLE api.mine (id int)")


def test_what_an_earlier_version_let_the_api_read_is_taken_from_it(old_server: str) -> None:
    with psycopg.connect(old_server, autocommit=True) as admin:
        admin.execute(_EARLIER)
        assert admin.execute(_MAY_READ).fetchone() == (True, True, True)
        admin.execute(grants.postgres_file().read_bytes())
        admin.execute("SET ROLE sync; CREATE VIEW serving.later AS SELECT 1 AS id; RESET ROLE")
        assert admin.execute(_MAY_READ).fetchone() == (False, False, True)
        assert admin.execute("SELECT has_table_privilege('api', 'serving.later', 'SELECT')").fetchone() == (False,)
        admin.execute("DROP VIEW serving.later, serving.earlier")


_EARLIER = """
CREATE VIEW serving.earlier AS SELECT 1 AS id;
ALTER VIEW serving.earlier OWNER TO sync;
GRANT USAGE ON SCHEMA serving TO api;
GRANT SELECT ON ALL TABLES IN SCHEMA serving TO dbt, api;
ALTER DEFAULT PRIVILEGES FOR ROLE sync IN SCHEMA serving GRANT SELECT ON TABLES TO dbt, api
"""
_MAY_READ = """
SELECT has_schema_privilege('api', 'serving', 'USAGE'), has_table_privilege('api', 'serving.earlier', 'SELECT'),
       has_table_privilege('dbt', 'serving.earlier', 'SELECT')
"""


def test_no_transaction_of_the_api_can_hold_a_view_for_long(postgres: dict[str, psycopg.Connection]) -> None:
    shown = "SELECT current_setting(name) FROM unnest(%s::text[]) AS name"
    limits = ["statement_timeout", "idle_in_transaction_session_timeout"]
    assert postgres["api"].execute(shown, (limits,)).fetchall() == [("10s",), ("10s",)]
    if postgres["api"].info.server_version >= 170000:
        assert postgres["api"].execute(shown, (["transaction_timeout"],)).fetchall() == [("30s",)]


def test_every_user_that_has_grants_is_a_user_of_the_stack() -> None:
    assert set(grants.clickhouse()) == set(clickhouse_configuration.USERS)
    assert set(grants.postgres()) == set(local_postgres.ROLES)


def test_roles_sql_sets_no_password() -> None:
    statements = re.sub(r"--.*", "", grants.postgres_file().read_text())
    assert "PASSWORD" not in statements.upper()


async def test_guest_cannot_log_in_to_rabbitmq(stack: Mapping[str, str]) -> None:
    host = stack["AMQP_URL"].rpartition("@")[2]
    with pytest.raises(ProbableAuthenticationError):
        await aio_pika.connect(f"amqp://guest:guest@{host}")


async def test_quorum_queues_work(stack: Mapping[str, str]) -> None:
    async with await aio_pika.connect(stack["AMQP_URL"]) as connection:
        channel = await connection.channel()
        arguments = {"x-queue-type": "quorum"}
        queue = await channel.declare_queue("test.local_stack", durable=True, arguments=arguments)
        await channel.default_exchange.publish(aio_pika.Message(b"7"), queue.name)
        message = await queue.get(timeout=10)
        assert message.body == b"7"
        await message.ack()
        await queue.delete(if_unused=False, if_empty=False)
