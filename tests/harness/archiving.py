"""Error queues to fill, a real `gcc-ingest archive` to empty them, and looks at what it has made of them."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from aio_pika import Message
from backports import zstd

from gcc_platform.local_stack.ports import pick_free
from ingest_service.archive.files import ArchiveLine
from ingest_service.broker.connection import connected
from ingest_service.broker.queue_depth import depth
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.running import GCC_INGEST, query, run

Environment = Mapping[str, str]
Headers = dict[str, Any]

FIRST = "2026-01-15T03:00:00.123+00:00"


def letter_headers(reason: str = "not_json", at: str = FIRST, **more: Any) -> Headers:
    """What the service would write."""
    told = {"reason": reason, "detail": "it is so", "attempts": 1, "first-rejected-at": at, "last-rejected-at": at}
    return {f"x-gcc-{name}": value for name, value in {**told, **more}.items()}


def put(environment: Environment, event_type: str, letters: Sequence[tuple[bytes, Headers]]) -> None:
    """Dead letters into a type's error queue, confirmed."""

    async def send() -> None:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            key = EVENT_TYPES[event_type].error_queue
            await asyncio.gather(
                *(exchange.publish(Message(body, headers=told), key, mandatory=True) for body, told in letters)
            )

    asyncio.run(send())


def waiting(environment: Environment, queue: str) -> int:
    """Messages that no consumer holds."""

    async def ask() -> int:
        async with connected(environment["AMQP_URL"], "tests") as connection:
            return await depth(connection, queue) or 0

    return asyncio.run(ask())


def archive_once(environment: Environment) -> int:
    """`gcc-ingest archive --once`: how many letters it has archived."""
    done = run(environment, "archive", "--once")
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout.split()[0])


@contextmanager
def archiving(environment: Environment, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A running `gcc-ingest archive`, killed at the end if it still runs."""
    (port,) = pick_free(1)
    complete = {**os.environ, "GCC_ARCHIVE_HTTP_PORT": str(port), **environment}
    with log.open("ab") as out:
        process = subprocess.Popen([GCC_INGEST, "archive"], env=complete, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def files(environment: Environment) -> list[Path]:
    """The archive's files."""
    return sorted(Path(environment["GCC_ARCHIVE_URL"]).rglob("*.ndjson.zst"))


def lines(file: Path) -> list[ArchiveLine]:
    """What is in a file, which must be whole."""
    return [msgspec.json.decode(line, type=ArchiveLine) for line in zstd.decompress(file.read_bytes()).splitlines()]


def body_of(line: ArchiveLine) -> bytes:
    """What was received."""
    if line.body_base64 is not None:
        return line.body_base64
    assert line.body is not None
    return line.body.encode()


def rows(environment: Environment, columns: str) -> list[dict[str, Any]]:
    """The table of letters, one row each."""
    text = query(
        environment["CLICKHOUSE_URL"],
        f"SELECT {columns} FROM _e.dead_letter_events FINAL ORDER BY event_type, letter_id FORMAT JSONEachRow",
    )
    return [json.loads(line) for line in text.splitlines()]


def listed(environment: Environment, *options: str) -> list[dict[str, Any]]:
    """`gcc-ingest dead-letters list --json`."""
    done = run(environment, "dead-letters", "list", "--json", *options)
    assert done.returncode == 0, done.stderr.decode()
    groups: list[dict[str, Any]] = json.loads(done.stdout)
    return groups


def replay(environment: Environment, *options: str) -> tuple[int, str]:
    """`gcc-ingest dead-letters replay`: how many letters it has published, and what it said besides."""
    done = run(environment, "dead-letters", "replay", "--all", "--yes", *options)
    assert done.returncode == 0, done.stderr.decode()
    published = done.stdout.split()
    return int(published[0]) if published and published[0].isdigit() else 0, done.stderr.decode()
