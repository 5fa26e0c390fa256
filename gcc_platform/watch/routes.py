"""The watch's pages: / for people, /status.json for commands and Dagster, /metrics, /runbook, /heartbeat."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gcc_platform.watch import metrics, page, runbook
from gcc_platform.watch.watch import Watch
from ingest_service.errors import UserError

# The page loads nothing from elsewhere and runs no script: what it shows comes from messages of strangers.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Routes:
    """The pages of one watch."""

    def __init__(self, watch: Watch, links: Sequence[tuple[str, str]], clock: Callable[[], float]) -> None:
        self._watch = watch
        self._links = links
        self._clock = clock
        self._registry = metrics.registry(lambda: watch.report, has_alertmanager=watch.alertmanager is not None)

    def all(self) -> list[web.RouteDef]:
        """The routes of an application."""
        return [
            web.get("/", self._page),
            web.get("/status.json", self._json),
            web.get("/metrics", self._metrics),
            web.get("/runbook", self._runbook),
            web.get("/heartbeat", self._heartbeat),
        ]

    async def _page(self, _request: web.Request) -> web.Response:
        """The status page."""
        if self._watch.report is None:
            return web.Response(text="the first look is under way: reload in some seconds\n", status=503)
        text = page.render(
            self._watch.report,
            self._links,
            has_alertmanager=self._watch.alertmanager is not None,
            clock=self._clock,
        )
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _json(self, _request: web.Request) -> web.Response:
        """The report; 503 before the first look has ended."""
        if self._watch.report is None:
            return web.json_response({"error": "the first look is under way"}, status=503)
        return web.Response(text=self._watch.report.as_json(), content_type="application/json", headers=_HEADERS)

    async def _metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _runbook(self, _request: web.Request) -> web.Response:
        """docs/operations.md."""
        try:
            text = await asyncio.to_thread(runbook.render)
        except UserError as error:
            return web.Response(text=f"{error}\n", status=404)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _heartbeat(self, _request: web.Request) -> web.Response:
        """The process is alive and its event loop runs."""
        return web.Response(text="ok\n")
