"""ClickHouse as the platform reads it: small answers as rows, whole tables as a stream of bytes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import clickhouse_connect
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from gcc_platform.settings import Settings

CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 300
_DEFAULT_PORTS = {"http": 8123, "https": 8443}

_TAB_SEPARATED_FOR_POSTGRES: Mapping[str, str | int] = {
    "date_time_output_format": "iso",  # with its zone, so that timestamptz cannot misread it
    "session_timezone": "UTC",
    "http_write_exception_in_output_format": 0,  # an error breaks the stream, it is never a row of it
    "wait_end_of_query": 0,
}


class ClickHouseFailed(Exception):
    """ClickHouse could not answer; the message says which query, and has no password."""


class ClickHouse:
    """One connection. Every query carries a comment, which system.query_log shows as log_comment."""

    def __init__(self, client: Client, comment: Mapping[str, str]) -> None:
        self._client = client
        self._comment = json.dumps(dict(comment))

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """The rows of a small answer; times have their zone. Raises ClickHouseFailed."""
        try:
            result = self._client.query(
                query, dict(parameters or {}), settings={"log_comment": self._comment}, tz_mode="aware"
            )
        except ClickHouseError as error:
            raise ClickHouseFailed(f"ClickHouse refused `{_head(query)}`: {error}") from None
        return result.result_rows

    def tab_separated(self, query: str) -> Iterator[bytes]:
        """A query's rows as the text that PostgreSQL's COPY reads, in chunks; at most one chunk is in memory.

        Raises ClickHouseFailed, also in mid-stream: chunks handed over before that are then worth nothing.
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
                f"ClickHouse broke off `{_head(query)}` ({error}). "
                f"Its exception is in system.query_log, query_id {query_id}"
            ) from None


@contextmanager
def connect(url: str, comment: Mapping[str, str]) -> Iterator[ClickHouse]:
    """A connection to the server at a URL, closed at the end. Raises ClickHouseFailed."""
    parts = urlsplit(url)
    address = f"{parts.hostname}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 8123)}"
    try:
        client = clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORTS.get(parts.scheme, 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_SILENCE_SECONDS,
            autogenerate_session_id=False,  # a session allows one query at a time
            client_name="gcc-platform",
        )
    except (ClickHouseError, urllib3.exceptions.HTTPError, OSError) as error:
        raise ClickHouseFailed(f"no ClickHouse for {parts.username} at {address}: {error}") from None
    with closing(client):
        yield ClickHouse(client, comment)


def table_uri(settings: Settings, table: str) -> str:
    """`clickhouse://host:port/database/table` without user and password; the host is left out where unknown."""
    secret = settings.sync_clickhouse_url or settings.clickhouse_url
    parts = urlsplit(secret.get_secret_value() if secret else "")
    address = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return f"clickhouse://{address}/{table.replace('.', '/')}"


def quoted(identifier: str) -> str:
    """An identifier as ClickHouse reads it whatever is in it."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _head(query: str) -> str:
    return " ".join(query.split())[:200]
