"""The service's client of ClickHouse, which goes on with the next host of its URL when one fails."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from ingest_service import urls
from ingest_service.clickhouse.errors import ErrorClass, InsertFailed, classify
from ingest_service.clickhouse.inserts import NO_SETTINGS, RowFormat, Settings
from ingest_service.clickhouse.server import Server
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable, NotConnected

_Answer = TypeVar("_Answer")
_OF_THE_SERVER = (ErrorClass.TRANSIENT, ErrorClass.PRESSURE)


class ClickHouse:
    """A client that connects on first use and again after a failure.

    Of several hosts it uses one until that fails. They must be servers of one cluster, on which a repeated insert is
    recognized by its token wherever it is sent: replicas of one shard, or tables of the engine Distributed.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._servers = [Server(host, timeout_seconds) for host in urls.hosts_at_random(url)]
        self._present = 0
        self.shown = urls.redacted(url)

    async def command(self, statement: str, parameters: dict[str, object] | None = None) -> None:
        """Run one statement. Raises ClickHouseUnavailable with the server's message."""
        await self._ask(lambda server: server.command(statement, parameters))

    async def column(self, query: str) -> list[str]:
        """The first column of a query's result. Raises ClickHouseUnavailable with the server's message."""
        return await self._ask(lambda server: server.column(query))

    async def rows(self, query: str, parameters: dict[str, object] | None = None) -> list[bytes]:
        """A query's rows as JSON objects, with times in ISO 8601. Raises ClickHouseUnavailable."""
        return await self._ask(lambda server: server.rows(query, parameters))

    async def ping(self) -> None:
        """Check that a server answers this user. Raises ClickHouseUnavailable."""
        await self.command("SELECT 1")

    async def insert(
        self,
        table: str,
        rows: Sequence[bytes],
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str] = (),
        settings: Settings = NO_SETTINGS,
        row_format: RowFormat = "JSONEachRow",
    ) -> None:
        """Insert rows, by default JSON objects, into a table; rows with the same token are inserted once.

        Returns when ClickHouse's own answer to this insert states that all rows are written. `columns` is required for
        a table with ephemeral columns. `comment` identifies the insert in system.query_log; `settings` override the
        pinned ones. Raises InsertFailed: repeat it with the same token, which then goes to another host.
        """
        await self._ask(lambda server: server.insert(table, rows, token, comment, columns, settings, row_format))

    async def close(self) -> None:
        """Close the connections."""
        for server in self._servers:
            await server.close()

    async def _ask(self, request: Callable[[Server], Awaitable[_Answer]]) -> _Answer:
        """Send a request to the present server, and to the others only while none has received it."""
        for _ in self._servers[1:]:
            asked = self._present
            try:
                return await self._ask_one(asked, request)
            except NotConnected:
                continue
        return await self._ask_one(self._present, request)

    async def _ask_one(self, number: int, request: Callable[[Server], Awaitable[_Answer]]) -> _Answer:
        try:
            return await request(self._servers[number])
        except (ClickHouseUnavailable, InsertFailed) as error:
            if number == self._present and _is_of_the_server(error):  # else another request has moved on already
                self._present = (number + 1) % len(self._servers)
            raise


def _is_of_the_server(error: ClickHouseUnavailable | InsertFailed) -> bool:
    """Whether another server may do better."""
    return isinstance(error, ClickHouseUnavailable) or classify(error).error_class in _OF_THE_SERVER


@asynccontextmanager
async def connected(url: str, timeout_seconds: float) -> AsyncIterator[ClickHouse]:
    """A client, closed at the end."""
    clickhouse = ClickHouse(url, timeout_seconds)
    try:
        yield clickhouse
    finally:
        await clickhouse.close()
