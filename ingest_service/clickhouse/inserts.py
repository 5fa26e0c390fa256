"""Inserts rows over HTTP, and accepts only ClickHouse's own answer to that insert as proof.

clickhouse-connect is not used, because it omits a setting if the server had that value when the client connected. A
profile that is changed later would apply, and a setting that lets an insert skip rows loses them.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Literal
from uuid import uuid4

import aiohttp
import aiohttp.payload
from aiohttp.abc import AbstractStreamWriter

from ingest_service import urls
from ingest_service.clickhouse.errors import ErrorClass, InsertFailed, RowsMissing, classify
from ingest_service.clickhouse.unavailable import refusal

CONNECT_SECONDS = 5
DEFAULT_USER = "default"
_PIECE = 256 * 1024
_MOST_OF_AN_ANSWER = 64 * 1024
_IDLE_SECONDS = 8  # less than the 10 after which ClickHouse closes an idle connection
_UNKNOWN_SETTING = 115
_OF_ROWS = (ErrorClass.ROW_FAULT, ErrorClass.TIME_FAULT)

Settings = Mapping[str, str | int]
NO_SETTINGS: Settings = {}
RowFormat = Literal["JSONEachRow", "TabSeparated"]
"""ClickHouse's name of a format with one row per line."""

INSERT_SETTINGS: Settings = {
    "async_insert": 0,  # an asynchronous insert is confirmed before it is checked
    "date_time_input_format": "best_effort",
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # a retry completes the ledger
    "input_format_allow_errors_num": 0,  # rows that cannot be parsed would be skipped
    "input_format_allow_errors_ratio": 0,
    "input_format_defaults_for_omitted_fields": 1,  # insert_timestamp would be 1970, before every refresh
    "input_format_force_null_for_omitted_fields": 0,  # valid rows would be refused
    "input_format_json_read_objects_as_strings": 1,  # metrics and dimensions keep their bytes
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,  # inserts run concurrently: threads within one cost more than they gain
    "input_format_skip_unknown_fields": 0,
    "insert_deduplicate": 1,
    "materialized_views_ignore_errors": 0,  # the ledger would lack what the table has
    "max_execution_time": 0,  # the client's timeout applies
    "max_insert_block_size": 1_048_449,  # an insert must be one block: of several, some could fail, and a retry
    "min_insert_block_size_bytes": 268_402_944,  # that is cut differently would be deduplicated wrongly
    "min_insert_block_size_rows": 1_048_449,
    "optimize_on_insert": 0,  # duplicates within a batch are left to merges: saves a seventh of an insert's CPU
    "timeout_overflow_mode": "throw",  # with `break` an insert is truncated, and answered with success
    "wait_for_async_insert": 1,
}
"""Settings sent with every insert, over those of the user's profile: each could skip, cut, delay or change rows."""

NEWER_INSERT_SETTINGS: Settings = {
    "deduplicate_insert": "enable",  # takes precedence over insert_deduplicate
    "framing_output_format": "None",  # an error would be reported in another way
    "input_format_max_block_size_bytes": 0,  # see max_insert_block_size
    "input_format_max_block_wait_ms": 0,
    "max_insert_block_size_bytes": 0,
    "min_insert_block_size_bytes_for_materialized_views": 0,  # as for the table
    "min_insert_block_size_rows_for_materialized_views": 0,
    "run_query_in_background": 0,  # an insert would be answered before it is read
    "use_strict_insert_block_limits": 0,
}
"""The same, for settings that not every server version knows."""


class Inserter:
    """Sends inserts to one server over persistent connections."""

    def __init__(self, url: str, shown: str, seconds: float, column: Callable[[str], Awaitable[list[str]]]) -> None:
        """`shown` is the URL without its password; `column` returns the first column of a query's result."""
        server = urls.parse(url, "CLICKHOUSE_URL", urls.CLICKHOUSE)
        self._url = f"{server.origin}/"
        self._user = {
            "X-ClickHouse-User": server.user or DEFAULT_USER,
            "X-ClickHouse-Key": server.password,
        }
        self._shown = shown
        self._timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        self._column = column
        self._session: aiohttp.ClientSession | None = None
        self._known: list[str] | None = None
        """Those of `NEWER_INSERT_SETTINGS` that the server knows; None until it was queried."""

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
        """See ClickHouse.insert. Raises InsertFailed, ClickHouseUnavailable, or what aiohttp raises."""
        pinned = {**INSERT_SETTINGS, **await self._newer(), **settings}
        query_id = str(uuid4())
        names = f" ({', '.join(columns)})" if columns else ""
        parameters: dict[str, str | int] = {
            "query": f"INSERT INTO {table}{names} FORMAT {row_format}",
            "query_id": query_id,
            "insert_deduplication_token": token,
            "log_comment": json.dumps(comment),
            **pinned,
        }
        try:
            await self._send(parameters, rows)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A persistent connection that the server has closed meanwhile. The token makes the retry safe.
            await self._send(parameters, rows)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _newer(self) -> Settings:
        if self._known is None:
            names = ", ".join(f"'{name}'" for name in NEWER_INSERT_SETTINGS)
            self._known = await self._column(f"SELECT name FROM system.settings WHERE name IN ({names})")  # noqa: S608
        return {name: NEWER_INSERT_SETTINGS[name] for name in self._known}

    async def _send(self, parameters: dict[str, str | int], rows: Sequence[bytes]) -> None:
        async with self._connected().post(
            self._url, params=parameters, data=_Body(rows), headers=self._user, allow_redirects=False
        ) as response:
            text = await response.content.read(_MOST_OF_AN_ANSWER)
            self._check(response, text.decode(errors="backslashreplace"), str(parameters["query_id"]), len(rows))

    def _check(self, response: aiohttp.ClientResponse, text: str, query_id: str, rows: int) -> None:
        """Raises InsertFailed unless this is ClickHouse's answer to this insert, and all rows are written."""
        answered = response.headers.get("X-ClickHouse-Query-Id")
        if answered is not None and answered != query_id:
            raise self._not_ours()
        code = response.headers.get("X-ClickHouse-Exception-Code")
        if code is not None and code.isdecimal():
            raise self._refused(int(code), text, answered)
        if response.status != 200:
            raise InsertFailed(
                None,
                f"CLICKHOUSE_URL: what answers at {self._shown} is not ClickHouse: HTTP status {response.status}",
                response.status,
            )
        if answered is None:
            raise self._not_ours()
        written = _written_rows(response.headers.get("X-ClickHouse-Summary"))
        if written < rows:  # rows written by views are counted too
            raise RowsMissing(
                f"CLICKHOUSE_URL: {self._shown} reports {written} of {rows} rows as written. "
                "Which setting of the user's profile makes it skip or cut inserts? gcc-platform doctor compares them"
            )

    def _refused(self, code: int, text: str, answered: str | None) -> InsertFailed:
        if code == _UNKNOWN_SETTING:
            self._known = None  # an answer to another insert
        failure = InsertFailed(code, refusal(self._shown, code, text))
        if answered is None and classify(failure).error_class in _OF_ROWS:
            return self._not_ours()  # errors before the rows are parsed have no query id, and do not concern them
        return failure

    def _not_ours(self) -> InsertFailed:
        # Elasticsearch's clients also refuse answers that are not from the product itself.
        return InsertFailed(
            None,
            f"CLICKHOUSE_URL: what answers at {self._shown} is not ClickHouse's answer to this insert. "
            "Does a proxy, a load balancer or a login page answer for it?",
        )

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=_IDLE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self._session


class _Body(aiohttp.payload.Payload):
    """The rows of an insert, one per line, joined piece by piece: a batch is in memory once."""

    _value: Sequence[bytes]

    def __init__(self, rows: Sequence[bytes]) -> None:
        super().__init__(rows, content_type="application/octet-stream")
        self._size = sum(map(len, rows)) + len(rows)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the rows in pieces, so that the event loop can run other tasks between them."""
        for piece in self._pieces():
            await writer.write(piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The request body as text."""
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


def _written_rows(summary: str | None) -> int:
    """The written rows by X-ClickHouse-Summary; 0 without that header."""
    try:
        return int(json.loads(summary or "{}").get("written_rows", 0))
    except (ValueError, AttributeError, TypeError):
        return 0
