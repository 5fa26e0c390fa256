"""gcc-ingest simulate: publish crawl traffic of all event types at a steady rate."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import click
import structlog

from ingest_service.backoff import Backoff
from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.publisher import NotConfirmed, Publisher
from ingest_service.commands.errors import exit_on_error
from ingest_service.commands.simulator import Body, Simulator
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability import logs
from ingest_service.settings import Settings

_TICK_SECONDS = 0.2
_log = structlog.get_logger()


@click.command()
@click.option("--rate", type=click.FloatRange(min=0.1), default=50, show_default=True, help="Events a second.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after this long; default: never.")
@click.option("--seed", type=int, help="Seed of the random generator; the same seed generates the same events.")
def simulate(rate: float, seconds: float | None, seed: int | None) -> None:
    """Publish realistic crawl traffic of all event types until Ctrl-C.

    \b
    Examples:
      gcc-ingest simulate --rate 50
      gcc-ingest simulate --rate 2000 --seconds 30
    """
    with exit_on_error():
        settings = Settings()
        logs.configure(settings.log_format)
        settings.amqp()
        count = asyncio.run(_simulate(settings, rate, seconds, Simulator(seed).events()))
    click.echo(f"{count} events confirmed")


async def _simulate(settings: Settings, rate: float, seconds: float | None, events: Iterator[Body]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    traffic = _Traffic(rate, seconds, events, stopping)
    backoff = Backoff(settings.retry_first_seconds, settings.retry_most_seconds)
    attempt = 0
    while not traffic.over():
        attempt += 1
        try:
            async with Publisher(settings.amqp(), "gcc-ingest simulate") as publisher:
                attempt = 1
                await traffic.publish(publisher)
        except (BrokerUnavailable, NotConfirmed) as error:
            delay = backoff.seconds(attempt)
            _log.warning("waiting for the broker", why=str(error), seconds=round(delay, 2))
            await traffic.sleep(delay)
    return traffic.confirmed


class _Traffic:
    """Publishes events at a steady rate, until a deadline or a signal."""

    def __init__(self, rate: float, seconds: float | None, events: Iterator[Body], stopping: asyncio.Event) -> None:
        self._rate = rate
        self._end = None if seconds is None else time.monotonic() + seconds
        self._events = events
        self._stopping = stopping
        self.confirmed = 0

    def over(self) -> bool:
        """Whether publishing should stop."""
        return self._stopping.is_set() or (self._end is not None and time.monotonic() >= self._end)

    async def publish(self, publisher: Publisher) -> None:
        """Publish at the rate until it is over. Raises NotConfirmed."""
        started, sent = time.monotonic(), 0
        while not self.over():
            due = int((time.monotonic() - started) * self._rate) - sent
            by_type: dict[str, list[bytes]] = defaultdict(list)
            for name, body in islice(self._events, max(0, due)):
                by_type[name].append(body)
            for name, bodies in by_type.items():
                await publisher.publish(EVENT_TYPES[name].routing_key, bodies)
                self.confirmed += len(bodies)
            sent += max(0, due)
            await self.sleep(_TICK_SECONDS)

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake up when stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
