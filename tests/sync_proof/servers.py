"""The servers of a proof, each user's connection to them, and what is served of a mart."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import psycopg
from clickhouse_connect.driver.client import Client
from psycopg import sql

from gcc_platform.local_stack.postgres import SUPERUSER
from gcc_platform.local_stack.state import State
from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.clickhouse import ClickHouse
from tests.harness.syncs import Outcome, run
from tests.sync_proof import oracle
from tests.sync_proof.marts import GRAIN, ProofMart

LEAST_ROWS = 300
"""In the proofs, marts from this size on are upserted."""


@dataclass(frozen=True)
class Servers:
    """Connections of each user."""

    environment: Mapping[str, str]
    superuser_url: str
    dbt: Client
    source: ClickHouse
    target: psycopg.Connection
    superuser: psycopg.Connection

    def sync(self, mart: ProofMart, *, full: bool = False) -> Outcome:
        """Sync a mart."""
        return run(self.source, self.target, mart.mart, full=full, least_rows=LEAST_ROWS)

    def in_clickhouse(self, mart: ProofMart) -> oracle.Content:
        """All rows of a mart."""
        return oracle.in_clickhouse(self.dbt, mart.table, GRAIN)

    def in_postgres(self, mart: ProofMart) -> oracle.Content:
        """All rows that are served."""
        return oracle.in_postgres(self.target, mart.name, GRAIN)

    def tables(self, mart: str) -> list[str]:
        """What of a mart is in serving_data."""
        found = self.target.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'serving_data'::regnamespace AND relkind = 'r' "
            "AND starts_with(relname, %s) ORDER BY 1",
            (f"{mart}__",),
        )
        return [row[0] for row in found.fetchall()]

    def forget(self, mart: ProofMart) -> None:
        """Drop it on both sides."""
        mart.drop()
        self.forget_served(mart.name)

    def forget_served(self, mart: str) -> None:
        """Drop what is served of a mart, and all views over it."""
        self.superuser.execute(sql.SQL("DROP VIEW IF EXISTS serving.{} CASCADE").format(sql.Identifier(mart)))
        for table in self.tables(mart):
            self.superuser.execute(sql.SQL("DROP TABLE serving_data.{} CASCADE").format(sql.Identifier(table)))


@contextmanager
def connected(environment: Mapping[str, str], superuser_url: str) -> Iterator[Servers]:
    """Connect as every user."""
    with ExitStack() as opened:
        dbt = opened.enter_context(clickhouse_connect.get_client(dsn=environment["GCC_DBT_CLICKHOUSE_URL"]))
        dbt.command("CREATE DATABASE IF NOT EXISTS warehouse")
        yield Servers(
            environment,
            superuser_url,
            dbt,
            opened.enter_context(clickhouse.connect(environment["GCC_SYNC_CLICKHOUSE_URL"], {"run_id": "proof"})),
            opened.enter_context(postgres.connect(environment["POSTGRES_URL"], "proof")),
            opened.enter_context(psycopg.connect(superuser_url, autocommit=True)),
        )


def superuser_url(environment: Mapping[str, str], directory: Path) -> str:
    """The address of PostgreSQL for its superuser, whose password is in the stack's folder."""
    password = State.load(directory / "stack.json").passwords["PostgreSQL"][SUPERUSER]
    address = environment["POSTGRES_URL"].rpartition("@")[2]
    return f"postgresql://{SUPERUSER}:{password}@{address}"
