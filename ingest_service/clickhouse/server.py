"""One server of ClickHouse: commands, queries, and inserts with a deduplication token."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import aiohttp
import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from ingest_service import urls
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.inserts import CONNECT_SECONDS, DEFAULT_USER, Inserter, RowFormat, Settings
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable, NotConnected, no_answer, refusal

_QUERY_SETTINGS: Settings = {
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": 0,
}


_ERRORS = (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError)


class Server:
    """One server, to which it connects on first use and again after a failure. ClickHouse (client.py) uses several."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.shown = urls.redacted(url)
        self._inserter = Inserter(url, self.shown, timeout_seconds, self.column)

    async def command(self, statement: str, parameters: dict[str, object] | None = None) -> None:
        """Run one statement. Raises ClickHouseUnavailable with the server's message."""
        with self._explained():
            await (await self._connected()).command(statement, parameters)

    async def column(self, query: str) -> list[str]:
        """The first column of a query's result. Raises ClickHouseUnavailable with the server's message."""
        with self._explained():
            result = await (await self._connected()).query(query)
            return [str(row[0]) for row in result.result_rows]

    async def rows(self, query: str, parameters: dict[str, object] | None = None) -> list[bytes]:
        """A query's rows as JSON objects, with times in ISO 8601. Raises ClickHouseUnavailable."""
        with self._explained():
            client = await self._connected()
            answer = await client.raw_query(query, parameters, settings=dict(_QUERY_SETTINGS), fmt="JSONEachRow")
            return answer.splitlines()

    async def insert(
        self,
        table: str,
        rows: Sequence[bytes],
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str],
        settings: Settings,
        row_format: RowFormat,
    ) -> None:
        """See ClickHouse.insert. Raises InsertFailed."""
        try:
            await self._inserter.insert(table, rows, token, comment, columns, settings, row_format)
        except ClickHouseUnavailable as error:
            raise InsertFailed(None, str(error)) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InsertFailed(None, no_answer(self.shown, error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._inserter.close()
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await self._connect()
                except _ERRORS as error:
                    raise NotConnected(self._explain(error)) from None
            return self._client

    async def _connect(self) -> AsyncClient:
        server = urls.parse(self._url, "CLICKHOUSE_URL", urls.CLICKHOUSE)
        return await clickhouse_connect.get_async_client(
            host=server.host,
            port=server.port,
            username=server.user or DEFAULT_USER,
            password=server.password,
            secure=server.is_tls,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=self._timeout,
            autogenerate_session_id=False,  # a session allows one query at a time
            client_name="gcc-ingest",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            is_sent = not isinstance(error.__cause__ or error, aiohttp.ClientConnectorError)
            kind = ClickHouseUnavailable if is_sent else NotConnected
            raise kind(self._explain(error)) from None

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, Error) and error.code is not None:
            return refusal(self.shown, error.code, str(error))
        return no_answer(self.shown, error)
