"""/heartbeat, /ready, /status and /metrics: the pages that every service has."""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

_WATCH = "gcc-platform-watch"
"""The User-Agent of gcc-platform watch."""


class State(Protocol):
    """The state that the pages show."""

    def obstacles(self) -> Mapping[str, str]:
        """Why the service does not do its work, by what stands in the way; empty if it does."""
        ...

    def warnings(self) -> Mapping[str, str]:
        """What is wrong and does not stand in the way."""
        ...

    def as_dict(self) -> Mapping[str, object]:
        """The whole state."""
        ...

    def note_watch(self) -> None:
        """Note that gcc-platform watch has asked."""
        ...


class Pages:
    """The pages of one service."""

    def __init__(self, state: State, registry: CollectorRegistry) -> None:
        self._state = state
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Their addresses."""
        return [
            web.get("/heartbeat", self._heartbeat),
            web.get("/ready", self._ready),
            web.get("/status", self._status),
            web.get("/metrics", self._metrics),
        ]

    async def _heartbeat(self, _request: web.Request) -> web.Response:
        """The process is alive and its event loop runs."""
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        """200 while the service does its work; 503 with the obstacles otherwise. Warnings change nothing."""
        if request.headers.get("User-Agent", "").startswith(_WATCH):
            self._state.note_watch()
        obstacles = self._state.obstacles()
        body = {"ready": not obstacles, "obstacles": obstacles, "warnings": self._state.warnings()}
        return web.json_response(body, status=503 if obstacles else 200)

    async def _status(self, _request: web.Request) -> web.Response:
        """The whole state as JSON."""
        return web.json_response(self._state.as_dict())

    async def _metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
