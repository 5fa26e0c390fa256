"""Links from assets to the pages of the servers and to the runbook. They hold neither passwords nor users' names.

A page whose URL is not set, or cannot be parsed, has no link: loading the definitions needs no servers.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import dagster as dg

from gcc_platform.settings import Settings
from gcc_platform.watch.management import queue_page
from gcc_platform.watch.runbook import anchor
from gcc_platform.watch.settings import WatchSettings
from ingest_service import urls
from ingest_service.urls import BadUrl


@dataclass(frozen=True)
class Links:
    """The addresses of the pages; an empty one is unknown."""

    management: str
    """RabbitMQ's management plugin."""
    virtual_host: str
    """Of the queues."""
    play: str
    """ClickHouse's page for queries, which asks for user and password."""
    watch: str

    @classmethod
    def from_environment(cls) -> Self:
        """The addresses by the settings. Reading those takes milliseconds: once for all assets of a module."""
        watch = WatchSettings()
        return cls(
            _known(lambda: watch.management),
            _known(lambda: _virtual_host(Settings())),
            _known(lambda: watch.play),
            _known(lambda: watch.own_url),
        )

    def metadata(
        self, *, queues: Mapping[str, str] | None = None, query: str | None = None, runbook: str | None = None
    ) -> dict[str, dg.MetadataValue[str]]:
        """The links of an asset: to queues by label, to a query in ClickHouse, to a heading of docs/operations.md."""
        found = self._pages(queues or {}, query, runbook)
        return {label: dg.MetadataValue.url(url) for label, url in found}

    def _pages(self, queues: Mapping[str, str], query: str | None, runbook: str | None) -> Iterator[tuple[str, str]]:
        if self.management and self.virtual_host:
            for label, name in queues.items():
                yield label, queue_page(self.management, self.virtual_host, name)
        if self.play and query:
            yield "query", f"{self.play}#{b64encode(query.encode()).decode()}"
        if self.watch and runbook:
            yield "runbook", f"{self.watch}/runbook#{anchor(runbook)}"


def _known(address: Callable[[], str]) -> str:
    with suppress(BadUrl):
        return address()
    return ""


def _virtual_host(settings: Settings) -> str:
    secret = settings.amqp_url
    return urls.parse(secret.get_secret_value(), "AMQP_URL", urls.AMQP).virtual_host if secret else "/"
