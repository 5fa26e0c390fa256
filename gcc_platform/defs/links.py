"""Links from assets to the pages of the servers and to the runbook. They hold neither passwords nor users' names.

A page whose URL is not set, or cannot be parsed, has no link: loading the definitions needs no servers.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress

import dagster as dg

from gcc_platform.settings import Settings
from gcc_platform.watch.management import queue_page
from gcc_platform.watch.runbook import anchor
from gcc_platform.watch.settings import WatchSettings
from ingest_service import urls
from ingest_service.urls import BadUrl


def metadata(
    *, queues: Mapping[str, str] | None = None, query: str | None = None, runbook: str | None = None
) -> dict[str, dg.MetadataValue[str]]:
    """The links of an asset: to queues by label, to a query in ClickHouse, and to a heading of docs/operations.md."""
    found: dict[str, str] = {}
    for label, name in (queues or {}).items():
        found |= _queue(label, name)
    if query:
        found |= _query(query)
    if runbook:
        found |= _runbook(runbook)
    return {label: dg.MetadataValue.url(url) for label, url in found.items()}


def _queue(label: str, name: str) -> Iterator[tuple[str, str]]:
    """The queue's page in RabbitMQ's management plugin."""
    with suppress(BadUrl):
        if origin := WatchSettings().management:
            yield label, queue_page(origin, _virtual_host(), name)


def _virtual_host() -> str:
    secret = Settings().amqp_url
    return urls.parse(secret.get_secret_value(), "AMQP_URL", urls.AMQP).virtual_host if secret else "/"


def _query(sql: str) -> Iterator[tuple[str, str]]:
    """ClickHouse's page for queries, with one in it; the page asks for user and password."""
    with suppress(BadUrl):
        if play := WatchSettings().play:
            yield "query", f"{play}#{b64encode(sql.encode()).decode()}"


def _runbook(heading: str) -> Iterator[tuple[str, str]]:
    with suppress(BadUrl):
        yield "runbook", f"{WatchSettings().own_url}/runbook#{anchor(heading)}"
