"""Publishers side by side, each confirmed, on one connection, in a process of its own, with the same post_log events.

`python -m tests.benchmarks.publishers KIND EVENTS` prints the seconds from the first publish until the last confirm,
and its own CPU seconds in between. EVENTS is a file of NDJSON; broker and ClickHouse are those of the environment.
"""

import asyncio
import contextlib
import inspect
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

import aio_pika
import msgspec

from ingest_service.archive.records import read
from ingest_service.archive.replay import Replay
from ingest_service.archive.table import DeadLetterTable, Selection
from ingest_service.clickhouse import client as clickhouse
from ingest_service.commands import publish as publish_command
from ingest_service.commands.ndjson import open_lines
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.publisher import EventPublisher
from ingest_service.publisher.bounded_queue import BoundedQueue
from ingest_service.publisher.counters import Counters
from ingest_service.publisher.record import Record
from ingest_service.publisher.sender import Sender
from ingest_service.settings import Settings
from tests.benchmarks.bench import Bench
from tests.benchmarks.drain import Drained
from tests.benchmarks.events import posts
from tests.benchmarks.processes import Meter

TYPE = EVENT_TYPES["post_log"]
C_WINDOW = 4_000
"""Unconfirmed messages of the C publisher."""
_AIO_PIKA_WINDOW = 1_000
_IN_FLIGHT: int = inspect.signature(EventPublisher.__init__).parameters["in_flight"].default
_SOURCE = Path(__file__).with_name("publisher.c")
_ROOT = Path(__file__).parents[2]
_LATEST_SECONDS = 1_800

Elapsed = tuple[float, float]


class _Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def elapsed(self) -> Elapsed:
        return time.monotonic() - self._wall, time.process_time() - self._cpu


async def by_command(file: Path) -> Elapsed:
    """What `gcc-ingest publish` does, from its first line to its last confirm."""
    settings = Settings()
    with open_lines(str(file), settings.max_body_bytes) as lines, publish_command._progress() as progress:
        sent = publish_command._Sent(progress, lines)
        clock = _Clock()
        await publish_command._publish(settings, TYPE, lines, sent)
        return clock.elapsed()


async def by_replay(file: Path) -> Elapsed:
    """What `gcc-ingest dead-letters replay` does: reads letters from ClickHouse, publishes them and records it."""
    count = 0

    def recorded(chunk: int) -> None:
        nonlocal count
        count += chunk

    settings = Settings()
    async with clickhouse.connected(settings.clickhouse(), 120) as server:
        clock = _Clock()
        await Replay(settings.amqp(), DeadLetterTable(server), None).run(Selection(), recorded)
        elapsed = clock.elapsed()
    assert count == len(_bodies(file)), f"{count} letters were replayed"
    return elapsed


async def by_sender(file: Path) -> Elapsed:
    """The SDK's background sender, with everything in memory beforehand."""
    records = [Record(TYPE.routing_key, body) for body in _bodies(file)]
    queue, counters, changed = BoundedQueue(len(records), 2**40), Counters(), asyncio.Event()
    for record in records:
        queue.add(record)
    counters.accepted = counters.in_memory = len(records)
    sender = Sender(_url(), queue, None, counters, changed.set, _IN_FLIGHT, 30.0)
    clock = _Clock()
    sending = asyncio.create_task(sender.run())
    while counters.sent < len(records):
        changed.clear()
        await changed.wait()
    elapsed = clock.elapsed()
    sending.cancel()
    await asyncio.wait([sending])
    return elapsed


async def by_emit(file: Path) -> Elapsed:
    """The SDK whole: `emit` of events as mappings, until all are confirmed."""
    events = [msgspec.json.decode(body) for body in _bodies(file)]
    async with EventPublisher(_url(), max_wait_seconds=30.0) as publisher:  # none is dropped
        await publisher.emit(TYPE.name, events[0])
        await _sent(publisher, 1)
        clock = _Clock()
        for event in events[1:]:
            await publisher.emit(TYPE.name, event)
        await _sent(publisher, len(events))
        return clock.elapsed()


async def _sent(publisher: EventPublisher, count: int) -> None:
    while publisher.counters.sent < count:  # noqa: ASYNC110  the publisher notifies nobody
        await asyncio.sleep(0.001)


async def by_aio_pika(file: Path) -> Elapsed:
    """What one writes first with aio-pika: publish with confirms, a thousand at a time."""
    connection = await aio_pika.connect(_url())
    async with connection, connection.channel(publisher_confirms=True, on_return_raises=True) as channel:
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        bodies = _bodies(file)

        async def publish(body: bytes) -> None:
            message = aio_pika.Message(
                body, content_type="application/json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            )
            await exchange.publish(message, TYPE.routing_key)

        clock = _Clock()
        for start in range(0, len(bodies), _AIO_PIKA_WINDOW):
            await asyncio.gather(*map(publish, bodies[start : start + _AIO_PIKA_WINDOW]))
        return clock.elapsed()


KINDS: Mapping[str, Callable[[Path], Awaitable[Elapsed]]] = {
    "command": by_command,
    "replay": by_replay,
    "sender": by_sender,
    "emit": by_emit,
    "aio-pika": by_aio_pika,
}


def _bodies(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()


def _url() -> str:
    return os.environ["AMQP_URL"]


def measured(bench: Bench, kind: str, count: int) -> Drained:
    """One publisher, from empty queues; `C` is the one in publisher.c."""
    bench.empty()
    bodies = posts(count)
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        file = Path(folder) / "events"
        file.write_bytes(b"\n".join(bodies))
        if kind == "replay":
            _archive(bench, bodies)
        bench.wait_at_rest()
        meter = Meter(dict(bench.pids))
        seconds, own = _by_c(bench, bodies) if kind == "C" else _by_process(bench, kind, file)
    return Drained(count, seconds, {**meter.seconds(), "publisher": own})


def can_compile() -> bool:
    """Whether the C publisher can be built here: it takes a compiler and librabbitmq's headers."""
    probe = ["cc", "-E", "-include", "amqp.h", "-x", "c", "/dev/null"]
    return which("cc") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _by_process(bench: Bench, kind: str, file: Path) -> Elapsed:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.publishers", kind, file],
        env={**os.environ, **bench.environment},
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_LATEST_SECONDS,
    )
    return _parsed(done.stdout)


def _by_c(bench: Bench, bodies: list[bytes]) -> Elapsed:
    program = bench.folder / "publisher"
    if not program.exists():
        subprocess.run(["cc", "-O2", "-o", program, _SOURCE, "-lrabbitmq"], check=True)
    url = urlsplit(bench.environment["AMQP_URL"])
    arguments = [url.hostname, url.port, url.username, url.password, EXCHANGE, C_WINDOW]
    key = TYPE.routing_key.encode()
    events = b"".join(len(key).to_bytes(2, "big") + key + len(body).to_bytes(4, "big") + body for body in bodies)
    done = subprocess.run(
        [program, *map(str, arguments)], input=events, stdout=subprocess.PIPE, check=True, timeout=_LATEST_SECONDS
    )
    return _parsed(done.stdout.decode())


def _archive(bench: Bench, bodies: list[bytes]) -> None:
    """Put the events into the table of dead letters, as the archiver would."""
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(_insert_letters(bench.environment["CLICKHOUSE_URL"], bodies))


async def _insert_letters(url: str, bodies: list[bytes]) -> None:
    now = datetime.now(UTC)
    headers = {"x-gcc-reason": "refused_by_table", "x-gcc-first-rejected-at": now.isoformat(timespec="milliseconds")}
    async with clickhouse.connected(url, 120) as server:
        table = DeadLetterTable(server)
        for start in range(0, len(bodies), 5_000):
            letters = [read(TYPE, body, headers, now) for body in bodies[start : start + 5_000]]
            await table.insert(letters, "benchmark", f"benchmark-{time.time_ns()}")


def _parsed(output: str) -> Elapsed:
    seconds, cpu = map(float, output.splitlines()[-1].split())
    return seconds, cpu


def main() -> None:
    """Measure one publisher."""
    kind, file = sys.argv[1:]
    print(*asyncio.run(KINDS[kind](Path(file))))


if __name__ == "__main__":
    main()
