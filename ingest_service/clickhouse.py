"""ClickHouse as the service uses it: commands at set-up, and raw inserts with a deduplication token."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiohttp
import aiohttp.payload
import clickhouse_connect
from aiohttp.abc import AbstractStreamWriter
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

from ingest_service.shown_url import without_password
from ingest_service.verdicts import InsertFailed, RowsMissing

CONNECT_SECONDS = 5
_DEFAULT_PORTS = {"http": 8123, "https": 8443}
_AUTHENTICATION_FAILED = 516
_NOT_THERE = (60, 81)  # a table, a database
_PIECE = 256 * 1024
_HTTP_STATUS = re.compile(r"HTTP driver received HTTP status (\d{3})")
"""How clickhouse-connect says that an answer had no error code of ClickHouse's."""

INSERT_SETTINGS: Mapping[str, str | int] = {
    "async_insert": 0,  # an asynchronous insert is confirmed before it is checked
    "date_time_input_format": "best_effort",
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # a retry adds to the ledger what the first try did not
    "input_format_allow_errors_num": 0,  # rows that cannot be read would be skipped
    "input_format_allow_errors_ratio": 0,
    "input_format_json_read_objects_as_strings": 1,  # metrics and dimensions: the bytes that came
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,  # other inserts are parsed meanwhile: threads for one cost more than they give
    "input_format_skip_unknown_fields": 0,
    "insert_deduplicate": 1,
    "materialized_views_ignore_errors": 0,  # the ledger would lack what the table has
    "max_execution_time": 0,  # ours is the client's timeout
    "optimize_on_insert": 0,  # copies within a batch are left to merges: a seventh of an insert's CPU
    "timeout_overflow_mode": "throw",  # with `break` an insert is cut short, and answered with success
}
"""What an insert says of itself, whatever the user's profile says: what could skip, cut, delay or change rows."""

NO_SETTINGS: Mapping[str, str | int] = {}
_QUERY_SETTINGS: Mapping[str, str | int] = {
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": 0,
}


class ClickHouseUnavailable(Exception):
    """ClickHouse cannot be used now; the message says why and names the URL without its password."""


class _Body(aiohttp.payload.Payload):
    """Rows as an insert sends them, one a line, joined a piece at a time: a batch is in memory once."""

    _value: Sequence[bytes]

    def __init__(self, rows: Sequence[bytes]) -> None:
        super().__init__(rows, content_type="application/octet-stream")
        self._size = sum(map(len, rows)) + len(rows)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it in pieces, so that the loop is free between them."""
        for piece in self._pieces():
            await writer.write(piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text that is sent."""
        return b"".join(self._pieces()).decode(encoding, errors)

    def _pieces(self) -> Iterator[bytes]:
        first = size = 0
        for position, row in enumerate(self._value):
            size += len(row) + 1
            if size >= _PIECE:
                yield b"\n".join((*self._value[first : position + 1], b""))
                first, size = position + 1, 0
        if first < len(self._value):
            yield b"\n".join((*self._value[first:], b""))


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
        rows: Sequence[bytes],
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str] | None = None,
        settings: Mapping[str, str | int] = NO_SETTINGS,
    ) -> None:
        """Insert JSON objects into a table; the same token never inserts twice.

        Returns when ClickHouse's own answer to this very insert says that all rows are written. `columns` must be given
        for a table with ephemeral ones. `comment` identifies the insert in system.query_log; `settings` override the
        pinned ones. Raises InsertFailed.
        """
        pinned = {
            **INSERT_SETTINGS,
            **settings,
            "insert_deduplication_token": token,
            "log_comment": json.dumps(comment),
        }
        try:
            try:
                await self._send(table, rows, columns, pinned)
            except OperationalError as error:
                if not _server_hung_up(error):
                    raise
                await self._send(table, rows, columns, pinned)  # on a new connection; the token makes it safe
        except Error as error:
            raise InsertFailed(error.code, self._explain(error), http_status(error)) from None
        except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InsertFailed(None, self._explain(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _send(
        self, table: str, rows: Sequence[bytes], columns: Sequence[str] | None, settings: dict[str, str | int]
    ) -> None:
        client = await self._connected()
        body: Any = _Body(rows)  # whatever aiohttp can send, clickhouse-connect can, too
        query_id = str(uuid4())
        answer = await client.raw_insert(
            table, columns, insert_block=body, settings={**settings, "query_id": query_id}, fmt="JSONEachRow"
        )
        if answer.query_id() != query_id or "written_rows" not in answer.summary:
            # A proxy's own page, a cached answer, a redirect to a login: Elasticsearch's clients refuse these, too.
            raise InsertFailed(
                None,
                f"CLICKHOUSE_URL: what answers at {self.shown} is not ClickHouse's answer to this insert. "
                "Does a proxy, a load balancer or a login page answer for it?",
            )
        if answer.written_rows < len(rows):  # with the rows of the ledger and of other views it is more
            raise RowsMissing(
                f"CLICKHOUSE_URL: {self.shown} says that {answer.written_rows} of {len(rows)} rows are written. "
                "Which setting of the user's profile makes it skip or cut inserts? gcc-platform doctor compares them"
            )

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
        if (status := http_status(error)) is not None:
            return f"CLICKHOUSE_URL: what answers at {self.shown} is not ClickHouse: it said HTTP status {status}"
        if isinstance(error, Error) and error.code is not None:
            way_out = ". gcc-ingest init creates databases and tables" if error.code in _NOT_THERE else ""
            return f"CLICKHOUSE_URL: {self.shown} said: {error}{way_out}"
        return f"CLICKHOUSE_URL: no ClickHouse answers at {self.shown} ({str(error).strip() or type(error).__name__})"


def http_status(error: BaseException) -> int | None:
    """The status of an error answer that is not ClickHouse's but a proxy's; None for any other error."""
    found = _HTTP_STATUS.match(str(error)) if isinstance(error, Error) and error.code is None else None
    return int(found[1]) if found else None


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
