"""An HTTP server for a process's own state: bounded, without bodies, and on loopback for this machine only."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from ingest_service.errors import UserError
from ingest_service.observability.http_connections import BACKLOG, Connections

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PortTaken(UserError):
    """The HTTP port is not available."""


@dataclass(frozen=True)
class HttpServer:
    """The listening server."""

    runner: web.AppRunner
    listening: asyncio.Server

    async def cleanup(self) -> None:
        """Stop listening, and close all connections."""
        self.listening.close()
        await self.runner.cleanup()


async def start(routes: Iterable[web.RouteDef], host: str, port: int, setting: str) -> HttpServer:
    """Start the server; the caller calls `cleanup`. `setting` is the port's. Raises PortTaken."""
    app = web.Application(middlewares=[_without_body, *([_for_this_machine] if _is_loopback(host) else [])])
    app.add_routes(routes)
    app.on_response_prepare.append(_close_afterwards)  # a connection is for one request: http_connections.py
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, lingering_time=1)
    await runner.setup()
    assert runner.server is not None
    try:
        listening = await asyncio.get_running_loop().create_server(
            Connections(runner.server), host, port, backlog=BACKLOG
        )
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(
            f"cannot listen on {host}:{port} for HTTP ({error.strerror}); set {setting} to a free port"
        ) from None
    return HttpServer(runner, listening)


async def _close_afterwards(_request: web.Request, response: web.StreamResponse) -> None:
    response.force_close()


@web.middleware
async def _without_body(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse requests with a body before it is read: no page needs one."""
    if request.body_exists:
        raise web.HTTPRequestEntityTooLarge(max_size=0, actual_size=request.content_length or 1)
    return await handler(request)


@web.middleware
async def _for_this_machine(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse foreign Host headers: a web page may let its own name resolve to 127.0.0.1 (DNS rebinding).

    Only for a server on loopback; others may have any name.
    """
    host = request.headers.get("Host")
    if host is not None and not _is_loopback(_name(host)):
        raise web.HTTPMisdirectedRequest(text="this server answers to 127.0.0.1, localhost and [::1] only\n")
    return await handler(request)


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
