"""What the service says over HTTP: /heartbeat, /ready, /status and /metrics."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest_service.health import Health
from ingest_service.metrics import Metrics


class PortTaken(Exception):
    """The HTTP port cannot be listened on."""


async def start(health: Health, metrics: Metrics, host: str, port: int) -> web.AppRunner:
    """Listen; the caller cleans the runner up. Raises PortTaken."""
    routes = _Routes(health, metrics)
    app = web.Application()
    app.add_routes(
        [
            web.get("/heartbeat", routes.heartbeat),
            web.get("/ready", routes.ready),
            web.get("/status", routes.status),
            web.get("/metrics", routes.metrics),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(
            f"cannot listen on {host}:{port} for HTTP ({error.strerror}); set GCC_HTTP_PORT to a free port"
        ) from None
    return runner


class _Routes:
    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    async def heartbeat(self, _request: web.Request) -> web.Response:
        """The process is alive and its loop turns."""
        return web.Response(text="ok\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """200 when messages of every type move; 503 with the obstacles otherwise."""
        obstacles = self._health.obstacles()
        return web.json_response({"ready": not obstacles, "obstacles": obstacles}, status=503 if obstacles else 200)

    async def status(self, _request: web.Request) -> web.Response:
        """Everything there is to know, as JSON."""
        return web.json_response(self._health.as_dict())

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
