"""The loop of the migration's two daemons: it looks, waits, and outlives every server that is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psycopg
import structlog

from gcc_platform.commands.migration.servers import with_servers
from gcc_platform.migration.servers import Servers
from gcc_platform.resources.postgres import PostgresUnavailable
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable
from ingest_service.errors import UserError

Look = Callable[[], Awaitable[None]]
"""Looks once, at all tables. Raises UserError for what an operator has to fix, after it has looked at the others."""

_RETRY = Backoff(first=1.0, most=30.0)
_AWAY = (PostgresUnavailable, psycopg.Error, InsertFailed, ClickHouseUnavailable)
_log = structlog.get_logger()


@dataclass
class Preparation:
    """What a table needs before a daemon looks at it. It is asked for until it is there; its absence is logged once."""

    command: str
    """Brings it."""
    _prepared: set[str] = field(default_factory=set)
    _logged: set[str] = field(default_factory=set)

    async def is_there(self, table: str, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Whether the table is prepared, by this question. Raises what the question raises."""
        if table in self._prepared:
            return True
        if await ask():
            self._prepared.add(table)
            return True
        if table not in self._logged:
            self._logged.add(table)
            _log.warning("waiting for a table to be prepared", table=table, command=self.command)
        return False


def run(
    opened: Callable[[Servers], contextlib.AbstractAsyncContextManager[Look]], seconds: float, *, once: bool
) -> None:
    """Look once, or at this interval until Ctrl-C. `opened` is entered again after a server was away."""
    with contextlib.suppress(KeyboardInterrupt):
        if once:
            with_servers(lambda servers: _look(servers, opened))
            return
        attempt = 0
        while True:
            try:
                with_servers(lambda servers: _look_until_stopped(servers, opened, seconds))
            except _AWAY as error:
                attempt += 1
                wait = _RETRY.seconds(attempt)
                _log.warning("waiting for a server", error=str(error).strip(), seconds=round(wait, 1))
                asyncio.run(asyncio.sleep(wait))


async def _look(servers: Servers, opened: Callable[[Servers], contextlib.AbstractAsyncContextManager[Look]]) -> None:
    async with opened(servers) as look:
        await look()


async def _look_until_stopped(
    servers: Servers, opened: Callable[[Servers], contextlib.AbstractAsyncContextManager[Look]], seconds: float
) -> None:
    attempt = 0
    async with opened(servers) as look:
        while True:
            try:
                await look()
            except UserError as error:
                if isinstance(error, _AWAY):
                    raise
                attempt += 1
                _log.error("waiting for somebody to fix it", error=str(error))
                await asyncio.sleep(_RETRY.seconds(attempt))
            else:
                attempt = 0
                await asyncio.sleep(seconds)
