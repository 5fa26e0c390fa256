"""One sync in a process of its own behind the proxies, killed at a statement in one of several ways."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from multiprocessing.connection import Connection

import clickhouse_connect
import psycopg

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.sync import key_ranges
from gcc_platform.sync.marts import Mart
from tests.harness import syncs
from tests.harness.running import eventually
from tests.sync_proof.servers import Servers
from tests.sync_proof.statements import CLICKHOUSE, StatementProxy, Statements, When, of_clickhouse, of_postgres

_NAME = "killed sync"
_LATEST_SECONDS = 120
_TRIES = 5
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.sync_proof.killing"])


class Way(Enum):
    """What is killed, and when."""

    PROCESS_BEFORE = "SIGKILL before the statement"
    PROCESS_AFTER = "SIGKILL after the statement was sent"
    BACKEND = "the PostgreSQL backend terminated"
    QUERY = "the queries in ClickHouse killed"


def sync_killed(servers: Servers, mart: Mart, least_rows: int, way: Way, aim: int, *, full: bool = False) -> Statements:
    """Run a sync that is killed at its n-th statement. What it has sent; `is_hit` if it came so far."""
    statements = Statements(aim, When.BEFORE if way is Way.PROCESS_BEFORE else When.AFTER)
    if way is Way.QUERY:
        statements.prefix = CLICKHOUSE
    with _behind_proxies(servers, statements) as (clickhouse_url, postgres_url):
        ours, theirs = _FORKING.Pipe()
        process = _FORKING.Process(
            target=_sync, args=(theirs, clickhouse_url, postgres_url, mart, least_rows, key_ranges.LEAST_ROWS, full)
        )
        process.start()
        assert process.pid is not None
        statements.act = _action(way, servers, process.pid, statements)
        ours.send("go")
        process.join(_LATEST_SECONDS)
        assert process.exitcode is not None, f"a sync killed at {statements.sent[-1:]} has not ended"
    eventually(lambda: not _sessions(servers.superuser), 60, "the sessions of the killed sync have ended")
    return statements


def _sync(
    ours: Connection, clickhouse_url: str, postgres_url: str, mart: Mart, least_rows: int, range_rows: int, full: bool
) -> None:
    """What the process does. A sync that fails ends it with an error, which is nothing to report."""
    key_ranges.LEAST_ROWS = range_rows
    ours.recv()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    with (
        clickhouse.connect(clickhouse_url, {"run_id": _NAME}) as source,
        postgres.connect(postgres_url, _NAME) as target,
    ):
        syncs.run(source, target, mart, least_rows=least_rows, full=full)


@contextmanager
def _behind_proxies(servers: Servers, statements: Statements) -> Iterator[tuple[str, str]]:
    proxies = [
        StatementProxy(servers.environment["GCC_SYNC_CLICKHOUSE_URL"], statements, of_clickhouse),
        StatementProxy(servers.environment["POSTGRES_URL"], statements, of_postgres),
    ]
    try:
        yield proxies[0].url, proxies[1].url
    finally:
        for proxy in proxies:
            proxy.close()


def _action(way: Way, servers: Servers, pid: int, statements: Statements) -> Callable[[str], None]:
    if way in {Way.PROCESS_BEFORE, Way.PROCESS_AFTER}:
        return lambda _: _kill(pid)
    if way is Way.BACKEND:
        return lambda _: _terminate(servers)
    return lambda _: _kill_queries(servers, statements)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _terminate(servers: Servers) -> None:
    servers.superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (_NAME,)
    )


def _kill_queries(servers: Servers, statements: Statements) -> None:
    """As the sync's user, who may kill its own. A query that has ended already is not killed."""
    statement = "KILL QUERY WHERE user = 'sync' AND query NOT LIKE 'KILL%' SYNC"
    with clickhouse_connect.get_client(dsn=servers.environment["GCC_SYNC_CLICKHOUSE_URL"]) as client:
        for _ in range(_TRIES):
            if killed := client.query(statement).row_count:
                statements.queries_killed += killed
                return


def _sessions(connection: psycopg.Connection) -> list[int]:
    found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", (_NAME,)).fetchall()
    return [row[0] for row in found]
