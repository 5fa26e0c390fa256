"""ClickHouse as the service uses it: commands at set-up, and raw inserts with a deduplication token."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import aiohttp.payload
import clickhouse_connect
from aiohttp.abc import AbstractStreamWriter
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

from ingest_service.shown_url import without_password
from ingest_service.verdicts import InsertFailed

CONNECT_SECONDS = 5
_DEFAULT_PORTS = {"http": 8123, "https": 8443}
_AUTHENTICATION_FAILED = 516
_NOT_THERE = (60, 81)  # a table, a database
_PIECE = 256 * 1024

_INSERT_SETTINGS: Mapping[str, str | int] = {
    "async_insert": 0,  # an asynchronous insert is confirmed before it is checked
    "date_time_input_format": "best_effort",
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # a retry adds to the ledger what the first try did not
    "input_format_json_read_objects_as_strings": 1,  # metrics and dimensions: the bytes that came
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,  # other inserts are parsed meanwhile: threads for one cost more than they give
    "input_format_skip_unknown_fields": 0,
    "insert_deduplicate": 1,
    "optimize_on_insert": 0,  # copies within a batch are left to merges: a seventh of an insert's CPU
}

_QUERY_SETTINGS: Mapping[str, str | int] = {
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": 0,
}


class ClickHouseUnavailable(Exception):
    """ClickHouse cannot be used now; the message says why and names the URL without its password."""


class _Body(aiohttp.payload.Payload):
    """What an insert sends, from where it is in memory: clickhouse-connect would copy a batch three times."""

    _value: memoryview

    def __init__(self, rows: bytes) -> None:
        super().__init__(memoryview(rows), content_type="application/octet-stream")
        self._size = len(rows)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it in pieces, so that the loop is free between them."""
        for at in range(0, len(self._value), _PIECE):
            await writer.write(self._value[at : at + _PIECE])

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text that is sent."""
        return bytes(self._value).decode(encoding, errors)


class ClickHouse:
    """A lazily connected client: every call connects if need be, so the server may come and go."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.shown = without_password(url)

    async def command(self, statement: str, parameters: dict[str, object] | None = None) -> None:
        """Run one statement. Raises ClickHouseUnavailable with the server's words."""
        with self._explained():
            await (await self._connected()).command(statement, parameters)

    async def column(self, query: str) -> list[str]:
        """The first column of a query's result. Raises ClickHouseUnavailable with the server's words."""
        with self._explained():
            result = await (await self._connected()).query(query)
            return [str(row[0]) for row in result.result_rows]

    async def rows(self, query: str, parameters: dict[str, object] | None = None) -> list[bytes]:
        """A query's result, a JSON object each row, times in ISO 8601. Raises ClickHouseUnavailable."""
        with self._explained():
            client = await self._connected()
            answer = await client.raw_query(query, parameters, settings=dict(_QUERY_SETTINGS), fmt="JSONEachRow")
            return answer.splitlines()

    async def ping(self) -> None:
        """Returns if the server answers this user. Raises ClickHouseUnavailable."""
        await self.command("SELECT 1")

    async def insert(
        self,
        table: str,
        rows: bytes,
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str] | None = None,
    ) -> None:
        """Insert JSON objects, one after the other, into a table; the same token never inserts twice.

        `columns` must be given for a table with ephemeral ones. `comment` identifies the insert in system.query_log.
        Raises InsertFailed.
        """
        settings = {
            **_INSERT_SETTINGS,
            "insert_deduplication_token": token,
            "log_comment": json.dumps(comment),
        }
        try:
            try:
                await self._send(table, rows, columns, settings)
            except OperationalError as error:
                if not _server_hung_up(error):
                    raise
                await self._send(table, rows, columns, settings)  # on a new connection; the token makes it safe
        except Error as error:
            raise InsertFailed(error.code, self._explain(error)) from None
        except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InsertFailed(None, self._explain(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _send(
        self, table: str, rows: bytes, columns: Sequence[str] | None, settings: dict[str, str | int]
    ) -> None:
        client = await self._connected()
        body: Any = _Body(rows)  # whatever aiohttp can send, clickhouse-connect can, too
        await client.raw_insert(table, columns, insert_block=body, settings=settings, fmt="JSONEachRow")

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> AsyncClient:
        parts = urlsplit(self._url)
        return await clickhouse_connect.get_async_client(
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORTS.get(parts.scheme, 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=self._timeout,
            autogenerate_session_id=False,  # a session would allow one query at a time
            client_name="gcc-ingest",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ClickHouseUnavailable(self._explain(error)) from None

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, Error) and error.code == _AUTHENTICATION_FAILED:
            return f"CLICKHOUSE_URL: {self.shown} refused the user or its password"
        if isinstance(error, Error) and error.code is not None:
            way_out = ". gcc-ingest init creates databases and tables" if error.code in _NOT_THERE else ""
            return f"CLICKHOUSE_URL: {self.shown} said: {error}{way_out}"
        return f"CLICKHOUSE_URL: no ClickHouse answers at {self.shown} ({str(error).strip() or type(error).__name__})"


def _server_hung_up(error: OperationalError) -> bool:
    """Whether a connection that was kept had been closed, as servers do with idle ones."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(
        cause, aiohttp.ClientConnectorError
    )


@asynccontextmanager
async def connected(url: str, timeout_seconds: float) -> AsyncIterator[ClickHouse]:
    """A client, closed at the end."""
    clickhouse = ClickHouse(url, timeout_seconds)
    try:
        yield clickhouse
    finally:
        await clickhouse.close()
