"""What strangers can do to the service over HTTP, while it goes on answering."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from gcc_platform.local_stack.ports import pick_free
from ingest_service.observability import http_connections, http_server
from ingest_service.observability.health import Health
from ingest_service.observability.metrics import Metrics
from ingest_service.observability.pages import Pages
from tests.harness.running import service

HALF_A_REQUEST = b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
FEW_FILES = 192


def test_half_open_requests_are_ended_within_seconds_and_ready_can_still_be_asked(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    with service(environment, tmp_path) as running, ExitStack() as opened:
        running.wait_ready()
        subprocess.run(["prlimit", f"--pid={running.process.pid}", f"--nofile={FEW_FILES}"], check=True)
        half_open = [opened.enter_context(socket.socket()) for _ in range(300)]
        for each in half_open:
            each.settimeout(10)
            each.connect(("127.0.0.1", running.port))
            each.sendall(HALF_A_REQUEST)
        assert running.get("/ready")[0] == 200
        began = time.monotonic()
        assert [ended(each) for each in half_open] == [True] * 300
        assert time.monotonic() - began < http_connections.SECONDS + 5
        assert running.get("/ready")[0] == 200
        assert running.terminate() == 0


def ended(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection without an answer."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.fixture
async def port() -> AsyncIterator[int]:
    (free,) = pick_free(1)
    health = Health("connected", "connected")
    pages = Pages(health, Metrics(health).registry).routes()
    server = await http_server.start(pages, "127.0.0.1", free, "GCC_HTTP_PORT")
    yield free
    await server.cleanup()


async def answer(port: int, request: bytes) -> bytes:
    """Everything that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(http_connections.SECONDS + 5):
        text = await reader.read()
    writer.close()
    return text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"127.0.0.1", 200),
        (b"127.0.0.1:8081", 200),
        (b"localhost:9999", 200),
        (b"LOCALHOST", 200),
        (b"[::1]:8081", 200),
        (b"evil.example", 421),
        (b"127.0.0.1.evil.example:8081", 421),
        (b"localhost@evil.example", 421),
        (b"[", 421),
        (b"", 421),
    ],
)
async def test_a_page_of_the_web_that_names_itself_gets_no_answer(port: int, host: bytes, status: int) -> None:
    text = await answer(port, b"GET /status HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
    assert text.startswith(b"HTTP/1.1 %d " % status)
    assert (b'"ready"' in text) == (status == 200)


async def test_a_server_that_others_may_reach_answers_by_any_name() -> None:
    (free,) = pick_free(1)
    health = Health("connected", "connected")
    pages = Pages(health, Metrics(health).registry).routes()
    server = await http_server.start(pages, "0.0.0.0", free, "GCC_HTTP_PORT")
    text = await answer(free, b"GET /ready HTTP/1.1\r\nHost: ingest.example\r\n\r\n")
    await server.cleanup()
    assert text.startswith(b"HTTP/1.1 200 ")


async def test_a_request_without_a_host_is_answered_for_no_browser_sends_one(port: int) -> None:
    assert (await answer(port, b"GET /heartbeat HTTP/1.0\r\n\r\n")).endswith(b"ok\n")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_body_is_refused(port: int, method: bytes) -> None:
    head = b"%b /ready HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n" % method
    assert (await answer(port, head + b"x" * 1000)).startswith(b"HTTP/1.1 413 ")


async def test_a_connection_is_for_one_request_and_the_oldest_makes_room(port: int) -> None:
    request = b"GET /heartbeat HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (await answer(port, request * 2)).count(b"HTTP/1.1 200") == 1
    half_open = [await asyncio.open_connection("127.0.0.1", port) for _ in range(http_connections.MOST)]
    assert b"200" in await answer(port, request)
    assert await half_open[0][0].read() == b""
    assert not half_open[-1][0].at_eof()
    for _, writer in half_open:
        writer.close()


async def test_nothing_listens_after_the_end() -> None:
    (free,) = pick_free(1)
    health = Health("connected", "connected")
    pages = Pages(health, Metrics(health).registry).routes()
    server = await http_server.start(pages, "127.0.0.1", free, "GCC_HTTP_PORT")
    await server.cleanup()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", free)
