"""Queries to ClickHouse: small results as rows, whole tables as a stream of bytes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, cast
from uuid import uuid4

import clickhouse_connect
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.query import QueryResult
from clickhouse_connect.driver.summary import QuerySummary

from gcc_platform.settings import Settings
from ingest_service import urls
from ingest_service.errors import UserError
from ingest_service.urls import BadUrl, MissingUrl

CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 300

_VALUES_FOR_POSTGRES: Mapping[str, str | int] = {
    "date_time_output_format": "iso",  # with a time zone, which timestamptz reads
    "session_timezone": "UTC",
}
_TAB_SEPARATED_FOR_POSTGRES: Mapping[str, str | int] = {
    **_VALUES_FOR_POSTGRES,
    "http_write_exception_in_output_format": 0,  # an error aborts the stream instead of becoming a row
    "wait_end_of_query": 0,
}


class ClickHouseFailed(UserError):
    """ClickHouse refuses a connection or a query, or does not answer. The message has the query and no password."""


class ClickHouse:
    """A connection. Every query has a comment, which system.query_log shows as log_comment."""

    def __init__(self, client: Client, comment: Mapping[str, str]) -> None:
        self._client = client
        self._comment = json.dumps(dict(comment))

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """The rows of a small result; times have a time zone. Raises ClickHouseFailed."""
        return self._query(query, parameters).result_rows

    def named_rows(self, query: str) -> Sequence[Mapping[str, Any]]:
        """As `rows`, each by the names of its columns."""
        return list(self._query(query, None).named_results())

    def _query(self, query: str, parameters: Mapping[str, Any] | None) -> QueryResult:
        try:
            return self._client.query(
                query, dict(parameters or {}), settings={"log_comment": self._comment}, tz_mode="aware"
            )
        except ClickHouseError as error:
            raise ClickHouseFailed(f"ClickHouse refused `{_head(query)}`: {error}") from None

    def tab_separated(self, query: str) -> Iterator[bytes]:
        """Stream a query's rows as text that PostgreSQL's COPY reads; at most one chunk is in memory.

        Raises ClickHouseFailed, also in the middle of the stream: discard the chunks before it then.
        """
        query_id = str(uuid4())
        settings = {**_TAB_SEPARATED_FOR_POSTGRES, "log_comment": self._comment, "query_id": query_id}
        try:
            stream = cast(BinaryIO, self._client.raw_stream(query, settings=settings, fmt="TabSeparated"))
            with closing(stream):
                while chunk := stream.read(CHUNK_BYTES):
                    yield chunk
        except ClickHouseError as error:
            raise ClickHouseFailed(f"ClickHouse refused `{_head(query)}`: {error}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClickHouseFailed(
                f"ClickHouse aborted `{_head(query)}` ({error}). "
                f"system.query_log has its exception under query_id {query_id}"
            ) from None

    def write_rows(self, insert: str, parameters: Mapping[str, Any], settings: Mapping[str, str | int]) -> int:
        """Run an INSERT ... SELECT with which ClickHouse itself writes elsewhere what `tab_separated` would send.

        Returns the number of rows written. Raises ClickHouseFailed.
        """
        used = {**_VALUES_FOR_POSTGRES, **settings, "log_comment": self._comment}
        try:
            summary = self._client.command(insert, dict(parameters), settings=used)
        except ClickHouseError as error:
            raise ClickHouseFailed(f"ClickHouse refused `{_head(insert)}`: {error}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClickHouseFailed(f"ClickHouse aborted `{_head(insert)}` ({error})") from None
        if not isinstance(summary, QuerySummary):
            raise TypeError(f"not an INSERT: {_head(insert)}")
        return summary.written_rows


@contextmanager
def connect(url: str, comment: Mapping[str, str]) -> Iterator[ClickHouse]:
    """A connection to the server at a URL, of several hosts to one that answers; closed at the end.

    Raises ClickHouseFailed and BadUrl.
    """
    urls.parse(url, "CLICKHOUSE_URL", urls.CLICKHOUSE)
    with closing(_client(url)) as client:
        yield ClickHouse(client, comment)


def _client(url: str) -> Client:
    failures = []
    for host in urls.hosts_at_random(url):
        try:
            return _client_of(urls.parse(host, "CLICKHOUSE_URL", urls.CLICKHOUSE))
        except ClickHouseFailed as error:
            failures.append(str(error))
    raise ClickHouseFailed("; ".join(failures))


def _client_of(server: urls.ServerUrl) -> Client:
    user = server.user or "default"
    try:
        return clickhouse_connect.get_client(
            host=server.host,
            port=server.port,
            username=user,
            password=server.password,
            secure=server.is_tls,
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_SILENCE_SECONDS,
            autogenerate_session_id=False,  # a session allows one query at a time
            client_name="gcc-platform",
        )
    except (ClickHouseError, urllib3.exceptions.HTTPError, OSError) as error:
        raise ClickHouseFailed(f"cannot connect to ClickHouse at {server.origin} as {user}: {error}") from None


def table_uri(settings: Settings, table: str) -> str:
    """`clickhouse://host:port/database/table` without user and password; without the host if no usable URL is set."""
    try:
        origin = urls.parse(settings.urls.sync_clickhouse, "CLICKHOUSE_URL", urls.CLICKHOUSE).origin
    except (MissingUrl, BadUrl):  # loading the definitions needs no servers
        origin = ""
    address = origin.partition("://")[2]
    return f"clickhouse://{address}/{table.replace('.', '/')}"


def quoted(identifier: str) -> str:
    """Quote an identifier for ClickHouse."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _head(query: str) -> str:
    return " ".join(query.split())[:200]
