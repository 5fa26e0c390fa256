"""What a night costs after a day's rows: the tail takes them, and `check` compares both sides."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import psycopg

from gcc_platform.migration import legacy_database
from gcc_platform.migration.rehearsal.old_rows import fill
from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.migration.workers import TABLES, Finished, run


class Cost(msgspec.Struct, frozen=True):
    """Of a command."""

    seconds: float
    cpu: dict[str, float]
    code: int


class Night(msgspec.Struct, frozen=True):
    """After new rows."""

    new_rows: int
    all_rows: int
    tail: Cost
    checks: dict[str, Cost]
    """By what was called."""


def measure(servers: Servers, new_rows: int, all_rows: int, seed: int, say: Callable[[str], None]) -> Night:
    """Insert a day's rows, take them, and check: a night, and the next night without new rows."""
    _make_it_yesterday(servers)
    asyncio.run(_insert(servers.old_url, new_rows, seed))
    tail = _cost(run(servers, 1, "tail", "--once"), "tail", say)
    checks = {"check": _cost(run(servers, 1, "check", "--days", "0"), "check", say)}
    _make_it_yesterday(servers)
    checks["check, nothing new"] = _cost(run(servers, 1, "check", "--days", "0"), "check, nothing new", say)
    return Night(new_rows, all_rows, tail, checks)


def _make_it_yesterday(servers: Servers) -> None:
    """The last check was a night ago: what arrived before it does not count as under way any more."""
    with psycopg.connect(servers.environment["GCC_MIGRATION_POSTGRES_URL"], autocommit=True) as state:
        state.execute("UPDATE migration.looks SET arrived_until = now(), looked_at = looked_at - interval '1 day'")


async def _insert(url: str, rows: int, seed: int) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    async with legacy_database.writing(url) as connection:
        for table in TABLES:
            await fill(connection, table, rows // len(TABLES), 1 / 365.25, now, seed=seed)


def _cost(done: Finished, name: str, say: Callable[[str], None]) -> Cost:
    cpu = ", ".join(f"{name} {seconds:.1f}" for name, seconds in done.cpu.items())
    say(f"  {name}: exit code {done.code} after {done.seconds:.1f} s; CPU s: {cpu}\n{done.output}")
    return Cost(done.seconds, done.cpu, done.code)
