"""A mart to sync, and both servers, as the users that do it in production."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from gcc_platform.local_stack.postgres import SUPERUSER, Postgres
from gcc_platform.local_stack.state import State
from gcc_platform.resources import clickhouse, postgres
from gcc_platform.sync import versions
from gcc_platform.sync.marts import Mart
from tests.gcc_platform.sync.served import Served


@pytest.fixture
def source(stack: Mapping[str, str]) -> Iterator[clickhouse.ClickHouse]:
    with clickhouse.connect(stack["GCC_SYNC_CLICKHOUSE_URL"], {"run_id": "test"}) as connection:
        yield connection


@pytest.fixture
def target(stack: Mapping[str, str]) -> Iterator[psycopg.Connection]:
    with postgres.connect(stack["POSTGRES_URL"], "test") as connection:
        yield connection


@pytest.fixture
def warehouse(stack: Mapping[str, str]) -> Iterator[Client]:
    """ClickHouse as dbt's user, who builds the marts."""
    with clickhouse_connect.get_client(dsn=stack["GCC_DBT_CLICKHOUSE_URL"]) as client:
        client.command("CREATE DATABASE IF NOT EXISTS warehouse")
        yield client


@pytest.fixture
def make_mart(warehouse: Client, target: psycopg.Connection) -> Iterator[Callable[..., Mart]]:
    """Make a mart of its own for the test: `make_mart("id UInt64, v Int64", "number, 1 FROM numbers(9)")`."""
    name = f"test_{uuid4().hex[:12]}"

    def make(columns: str, select: str | None = None, grain: tuple[str, ...] = ("id",)) -> Mart:
        warehouse.command(f"DROP TABLE IF EXISTS warehouse.{name}")
        warehouse.command(f"CREATE TABLE warehouse.{name} ({columns}) ENGINE = MergeTree ORDER BY {grain[0]}")
        if select:
            warehouse.command(f"INSERT INTO warehouse.{name} SELECT {select}")
        return Mart(name, grain)

    yield make
    warehouse.command(f"DROP TABLE IF EXISTS warehouse.{name}")
    target.execute(f"DROP VIEW IF EXISTS serving.{name} CASCADE")
    for (table,) in target.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = 'serving_data' AND relkind = 'r' AND starts_with(relname, %s)",
        (name,),
    ).fetchall():
        target.execute(f"DROP TABLE serving_data.{table}")


@pytest.fixture
def superuser(stack: Mapping[str, str], stack_folder: Path) -> Iterator[psycopg.Connection]:
    """PostgreSQL as its superuser, who creates roles."""
    password = State.load(stack_folder / "stack.json").passwords[Postgres.name][SUPERUSER]
    address = stack["POSTGRES_URL"].rpartition("@")[2]
    with psycopg.connect(f"postgresql://{SUPERUSER}:{password}@{address}", autocommit=True) as connection:
        yield connection


@pytest.fixture
def served(target: psycopg.Connection) -> Iterator[Served]:
    """A mart of its own for the test, not yet served."""
    versions.create_schemas(target)
    mart = Served(target, f"test_{uuid4().hex[:12]}")
    yield mart
    mart.drop()


@pytest.fixture
def analysts(superuser: psycopg.Connection) -> Iterator[str]:
    """The role coffee and its schema `analytics`, and the role tea. The sync may act as coffee."""
    superuser.execute(
        """
        CREATE ROLE coffee; CREATE ROLE tea;
        GRANT coffee TO sync WITH INHERIT FALSE, SET TRUE; GRANT USAGE ON SCHEMA serving TO coffee, tea;
        CREATE SCHEMA analytics AUTHORIZATION coffee
        """
    )
    yield "analytics"
    superuser.execute("DROP OWNED BY coffee, tea CASCADE; DROP ROLE coffee, tea")
