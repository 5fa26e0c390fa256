"""The tail by a slot takes every row that commits, however late, and goes on when the slot is lost."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import ROLES, SUPERUSER, Postgres
from gcc_platform.migration import legacy_database, state
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.slot import NAME, NoSlot, Slot
from gcc_platform.migration.slot_tail import SlotTail
from gcc_platform.migration.tail import Tail
from ingest_service.clickhouse.client import connected
from tests.conftest import LEGACY
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator
from tests.gcc_platform.migration.test_tail import crawlers, ids, insert

_SECONDS = 4.0
TABLES = ("profile_log", "post_log")


@pytest.fixture(scope="module")
def logical_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an old database with wal_level = logical."""
    passwords = dict.fromkeys((SUPERUSER, *ROLES), "secret")
    server = Postgres(tmp_path_factory.mktemp("logical"), Ports.free(), passwords, fast=True)
    url = server.url("postgresql", SUPERUSER, server.ports.postgres, "/gcc")
    server.start(threading.Event())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = logical")
        connection.execute("ALTER DATABASE gcc SET synchronous_commit = on")  # or commits are decoded a while later
    server.stop()
    server.start(threading.Event())
    yield url
    server.stop()


@pytest.fixture
def logical(logical_server: str) -> Iterator[psycopg.Connection]:
    """Its log tables, empty, with ids from 1, and no slot."""
    with psycopg.connect(logical_server, autocommit=True) as connection:
        drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        connection.execute(drop)
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(LEGACY.read_bytes())
        yield connection
        connection.execute(drop)


@pytest.fixture
def tailing(raw_tables: Mapping[str, str], logical_server: str, logical: psycopg.Connection) -> Iterator[Moving]:
    found = Moving(raw_tables, logical_server)
    found.forget()
    found.prepare(*TABLES)
    for table in TABLES:
        found.plan(table)
    yield found
    found.forget()


@contextmanager
def polling(moving: Moving) -> Iterator[Callable[[], int]]:
    """Polls of one tail by a slot, which has begun."""
    with asyncio.Runner() as runner:
        open_ = AsyncExitStack()

        async def begin() -> SlotTail:
            enter = open_.enter_async_context
            own = await enter(state.connected(moving.state_url))
            old = await enter(legacy_database.reading(moving.legacy_url))
            monitor = await enter(legacy_database.reading(moving.legacy_url))
            clickhouse = await enter(connected(moving.clickhouse_url, 60))
            tables = [LEGACY_TABLES[name] for name in TABLES]
            slot = Slot(await enter(legacy_database.writing(moving.legacy_url)), tables)
            tails = [Tail(own, old, monitor, clickhouse, table, moving.database) for table in tables]
            found = SlotTail(own, slot, tails)
            await found.begin()
            return found

        try:
            tail = runner.run(begin())
            yield lambda: runner.run(tail.poll())
        finally:
            runner.run(open_.aclose())


def test_no_row_is_lost_to_late_commits_and_none_is_looked_for_twice(tailing: Moving) -> None:
    committed: set[int] = set()
    with polling(tailing) as poll, crawlers(tailing.legacy_url, committed) as stop:
        taken, until = 0, time.monotonic() + _SECONDS
        while time.monotonic() < until:
            taken += poll()
        stop()
        while found := poll():
            taken += found
    assert ids(tailing) == committed
    assert taken == len(committed)
    assert committed != set(range(min(committed), max(committed) + 1)), "nothing was rolled back"


def test_a_second_start_goes_on_with_the_slot_of_the_first(tailing: Moving, logical: psycopg.Connection) -> None:
    with polling(tailing) as poll:
        first = insert(logical)
        poll()
    second = insert(logical)
    with polling(tailing):
        pass
    assert ids(tailing) == {first, second}


def test_rows_from_before_the_slot_are_taken_by_the_gap_ledger(tailing: Moving, logical: psycopg.Connection) -> None:
    before = insert(logical)
    with polling(tailing) as poll:
        assert ids(tailing) == {before}
        insert(logical, uuid4())
        after = insert(logical)
        assert poll() == 1
        assert poll() == 0
    assert ids(tailing) == {before, after}


def test_a_slot_that_is_lost_costs_no_row(tailing: Moving, logical: psycopg.Connection) -> None:
    with polling(tailing) as poll:
        first = insert(logical)
        poll()
        second = insert(logical)
        logical.execute("SELECT pg_drop_replication_slot(%s)", [NAME])
        third = insert(logical)
        poll()
        fourth = insert(logical)
        assert poll() == 1
    assert ids(tailing) == {first, second, third, fourth}


def test_wal_of_others_is_not_kept_and_what_is_kept_is_known(tailing: Moving, logical: psycopg.Connection) -> None:
    with polling(tailing) as poll:
        poll()
        logical.execute("CREATE TABLE other AS SELECT repeat(md5(i::text), 10) FROM generate_series(1, 50000) AS i")
        logical.execute("CHECKPOINT")
        poll()
        poll()
    [(kept,)] = tailing.noted("SELECT slot_wal_bytes FROM migration.tail WHERE legacy_table = 'profile_log'")
    assert 0 <= kept < 2_000_000


def test_a_server_without_logical_wal_is_refused_with_the_way_out(moving: Moving, old: psycopg.Connection) -> None:
    async def ensure() -> None:
        async with legacy_database.writing(moving.legacy_url) as connection:
            await Slot(connection, [LEGACY_TABLES["profile_log"]]).ensure()

    with pytest.raises(NoSlot, match=r"wal_level = replica .*needs wal_level = logical"):
        asyncio.run(ensure())


def test_the_command_takes_rows_by_its_slot_and_status_shows_the_wal_it_keeps(
    raw_tables: Mapping[str, str], tailing: Moving, logical: psycopg.Connection, tmp_path: Path
) -> None:
    operator = Operator({**raw_tables, "GCC_LEGACY_URL": tailing.legacy_url}, tmp_path)
    operator.run("tail", *TABLES, "--slot", "--once")
    row = insert(logical)
    operator.run("tail", *TABLES, "--slot", "--once")
    assert ids(tailing) == {row}
    assert all(isinstance(each["slot_wal_bytes"], int) for each in operator.status())
    assert "MB WAL)" in operator.run("status")
