"""The watch as a process: its HTTP server and its loop, until SIGTERM or Ctrl-C."""

import asyncio
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from gcc_platform.settings import Settings
from gcc_platform.watch.alertmanager import Alertmanager
from gcc_platform.watch.http_client import http_session
from gcc_platform.watch.look import look_of
from gcc_platform.watch.memory import Memory
from gcc_platform.watch.report import Report
from gcc_platform.watch.routes import Routes
from gcc_platform.watch.settings import WatchSettings
from gcc_platform.watch.watch import Watch
from ingest_service.observability import http_server


async def run(settings: WatchSettings, servers: Settings, folders: Iterable[Path]) -> None:
    """Watch until SIGTERM or SIGINT. Raises MissingUrl, BadUrl and PortTaken."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as owned:
        watch = await _watch(settings, servers, folders, owned)
        await _serve(watch, settings, owned)
        await watch.run(stopping)


async def look_once(settings: WatchSettings, servers: Settings, folders: Iterable[Path]) -> Report:
    """Look once, without a running watch and without sending anything. Raises MissingUrl and BadUrl."""
    async with AsyncExitStack() as owned:
        watch = await _watch(settings, servers, folders, owned)
        watch.alertmanager, watch.memory = None, Memory(time.time, is_patient=False)
        return await watch.once()


async def _watch(settings: WatchSettings, servers: Settings, folders: Iterable[Path], owned: AsyncExitStack) -> Watch:
    session = await owned.enter_async_context(http_session())
    runbook_url = f"{settings.own_url}/runbook"
    url = servers.urls.alertmanager
    alertmanager = Alertmanager(session, url, runbook_url) if url else None
    look = look_of(settings, servers, session, folders, time.time)
    return Watch(look, alertmanager, settings.seconds, runbook_url, time.time, Memory(time.time))


async def _serve(watch: Watch, settings: WatchSettings, owned: AsyncExitStack) -> None:
    routes = Routes(watch, _links(settings), time.time).all()
    server = await http_server.start(routes, settings.host, settings.port, "GCC_WATCH_PORT")
    owned.push_async_callback(server.cleanup)


def _links(settings: WatchSettings) -> Sequence[tuple[str, str]]:
    candidates = (
        ("Dagster", settings.dagster),
        ("RabbitMQ", settings.management),
        ("ClickHouse", settings.play),
        ("Runbook", f"{settings.own_url}/runbook"),
    )
    return [(name, url) for name, url in candidates if url]
