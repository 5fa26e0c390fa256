"""Inserts rows over HTTP, and believes nothing but ClickHouse's own answer to that very insert.

Not through clickhouse-connect: that leaves out a setting which the server had, when it was asked first, with the value
that is wanted. A profile that is changed later would rule, and a setting that lets an insert skip rows loses them.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
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

INSERT_SETTINGS: Settings = {
    "async_insert": 0,  # an asynchronous insert is confirmed before it is checked
    "date_time_input_format": "best_effort",
    "deduplicate_blocks_in_dependent_materialized_views": 1,  # a retry adds to the ledger what the first try did not
    "input_format_allow_errors_num": 0,  # rows that cannot be read would be skipped
    "input_format_allow_errors_ratio": 0,
    "input_format_defaults_for_omitted_fields": 1,  # rows that arrived in 1970 would be in no refresh
    "input_format_force_null_for_omitted_fields": 0,  # good rows would be refused
    "input_format_json_read_objects_as_strings": 1,  # metrics and dimensions: the bytes that came
    "input_format_null_as_default": 1,
    "input_format_parallel_parsing": 0,  # other inserts are parsed meanwhile: threads for one cost more than they give
    "input_format_skip_unknown_fields": 0,
    "insert_deduplicate": 1,
    "materialized_views_ignore_errors": 0,  # the ledger would lack what the table has
    "max_execution_time": 0,  # ours is the client's timeout
    "max_insert_block_size": 1_048_449,  # an insert is one block: cut into several it could fail half-way, and a retry
    "min_insert_block_size_bytes": 268_402_944,  # that is cut elsewhere would be taken for what is there already
    "min_insert_block_size_rows": 1_048_449,
    "optimize_on_insert": 0,  # copies within a batch are left to merges: a seventh of an insert's CPU
    "timeout_overflow_mode": "throw",  # with `break` an insert is cut short, and answered with success
    "wait_for_async_insert": 1,
}
"""What an insert says of itself, whatever the user's profile says: what could skip, cut, delay or change rows."""

NEWER_INSERT_SETTINGS: Settings = {
    "deduplicate_insert": "enable",  # rules over insert_deduplicate
    "framing_output_format": "None",  # an error would not be told as it is elsewhere
    "input_format_max_block_size_bytes": 0,  # see max_insert_block_size
    "input_format_max_block_wait_ms": 0,
    "max_insert_block_size_bytes": 0,
    "min_insert_block_size_bytes_for_materialized_views": 0,  # as for the table
    "min_insert_block_size_rows_for_materialized_views": 0,
    "run_query_in_background": 0,  # an insert would be answered before anything of it is read
    "use_strict_insert_block_limits": 0,
}
"""The same, of settings that not every server knows."""


class Inserter:
    """Sends inserts to one server; the connections are kept."""

    def __init__(self, url: str, shown: str, seconds: float, column: Callable[[str], Awaitable[list[str]]]) -> None:
        """`shown` is the URL without its password; `column` asks the server for the first column of a query."""
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
        """The newer settings that the server knows; None until it was asked."""

    async def insert(
        self,
        table: str,
        rows: Sequence[bytes],
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str],
        settings: Settings,
    ) -> None:
        """See ClickHouse.insert. Raises InsertFailed, ClickHouseUnavailable, or what aiohttp raises."""
        pinned = {**INSERT_SETTINGS, **await self._newer(), **settings}
        query_id = str(uuid4())
        names = f" ({', '.join(columns)})" if columns else ""
        parameters: dict[str, str | int] = {
            "query": f"INSERT INTO {table}{names} FORMAT JSONEachRow",
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
            # A connection that was kept, and that the server has closed meanwhile. The token makes it safe.
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
            said = await response.content.read(_MOST_OF_AN_ANSWER)
            self._check(response, said.decode(errors="backslashreplace"), str(parameters["query_id"]), len(rows))

    def _check(self, response: aiohttp.ClientResponse, said: str, query_id: str, rows: int) -> None:
        """Raises InsertFailed unless this is ClickHouse's answer to this insert, and says that all rows are written."""
        answered = response.headers.get("X-ClickHouse-Query-Id")
        if answered is not None and answered != query_id:
            raise self._not_ours()
        code = response.headers.get("X-ClickHouse-Exception-Code")
        if code is not None and code.isdecimal():
            raise self._refused(int(code), said, answered)
        if response.status != 200:
            raise InsertFailed(
                None,
                f"CLICKHOUSE_URL: what answers at {self._shown} is not ClickHouse: HTTP status {response.status}",
                response.status,
            )
        if answered is None:
            raise self._not_ours()
        written = _written_rows(response.headers.get("X-ClickHouse-Summary"))
        if written < rows:  # with the rows of the ledger and of other views it is more
            raise RowsMissing(
                f"CLICKHOUSE_URL: {self._shown} says that {written} of {rows} rows are written. "
                "Which setting of the user's profile makes it skip or cut inserts? gcc-platform doctor compares them"
            )

    def _refused(self, code: int, said: str, answered: str | None) -> InsertFailed:
        if code == _UNKNOWN_SETTING:
            self._known = None  # another server than the one that was asked
        failure = InsertFailed(code, refusal(self._shown, code, said))
        if answered is None and classify(failure).error_class in _OF_ROWS:
            return self._not_ours()  # what a server says before it has looked at the rows has no id, and is not of them
        return failure

    def _not_ours(self) -> InsertFailed:
        # Elasticsearch's clients, too, refuse an answer that is not the product's own.
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


def _written_rows(summary: str | None) -> int:
    """What X-ClickHouse-Summary says; 0 where there is none."""
    try:
        return int(json.loads(summary or "{}").get("written_rows", 0))
    except (ValueError, AttributeError, TypeError):
        return 0
