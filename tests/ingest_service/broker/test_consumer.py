"""What a consumer promises, whether deliveries come through aio-pika or past it."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection

from ingest_service.broker.connection import close, connect, connected, is_alive
from ingest_service.broker.consumer import Consumer, QueueMissing, consuming
from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.broker.headers import HeaderReader
from ingest_service.broker.lease import Deliveries
from ingest_service.broker.prefetch import Prefetch
from ingest_service.dead_letters.headers import all_headers, history_headers
from tests.harness.proxy import Proxy

QUEUE = "tests.consuming"
PREFETCH = 5_000

pytestmark = pytest.mark.parametrize("fast", [True, False], ids=["fast", "aio-pika"])


class Received:
    """Everything a consumer handed over."""

    def __init__(self) -> None:
        self.tags: list[int] = []
        self.bodies: list[bytes] = []
        self.redelivered = 0
        self.headers: dict[int, Mapping[str, object]] = {}
        self.ended = asyncio.Event()
        self._came = asyncio.Event()

    def receive(self, deliveries: Deliveries) -> None:
        assert len(deliveries.tags) == len(deliveries.bodies) > 0
        self.tags += deliveries.tags
        self.bodies += deliveries.bodies
        self.redelivered += deliveries.redelivered
        self.headers.update(deliveries.headers)
        self._came.set()

    async def have(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.bodies) < count:
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def channel(stack: Mapping[str, str]) -> AsyncIterator[AbstractChannel]:
    """To publish with; the queue is there and empty."""
    async with connected(stack["AMQP_URL"], "tests") as connection:
        channel = await connection.channel()
        await channel.queue_delete(QUEUE)
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        yield channel
        if not channel.is_closed:
            await channel.queue_delete(QUEUE)


async def publish(
    channel: AbstractChannel, bodies: Sequence[bytes], headers: Mapping[int, dict[str, str]] = {}
) -> None:
    for start in range(0, len(bodies), 500):
        await asyncio.gather(
            *(
                channel.default_exchange.publish(
                    Message(body, delivery_mode=DeliveryMode.PERSISTENT, headers=headers.get(at)), QUEUE
                )
                for at, body in enumerate(bodies[start : start + 500], start)
            )
        )


async def in_queue(channel: AbstractChannel) -> int:
    underlay = await channel.get_underlay_channel()
    return (await underlay.queue_declare(QUEUE, passive=True)).message_count or 0


@asynccontextmanager
async def consumer_of(
    url: str, fast: bool, received: Received, prefetch: int = PREFETCH, read_headers: HeaderReader = history_headers
) -> AsyncIterator[tuple[Consumer, AbstractConnection]]:
    async with (
        connected(url, "tests", DeliveryReader(bypass=fast)) as connection,
        consuming(
            connection,
            QUEUE,
            Prefetch(prefetch, 2**30),
            received.receive,
            read_headers,
            received.ended.set,
        ) as consumer,
    ):
        yield consumer, connection


async def test_bodies_of_every_size_come_once_whole_and_in_order(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    sizes = [0, 1, 131_063, 131_064, 131_065, 300_000, 3_000_000, 0, *([450] * 2_000), 262_128, *range(200)]
    bodies = [(b"%d " % n * (size // 2 + 1))[:size] for n, size in enumerate(sizes)]
    await publish(channel, bodies)
    received = Received()
    async with consumer_of(stack["AMQP_URL"], fast, received) as (consumer, _):
        await received.have(len(bodies))
        assert await consumer.lease.ack(received.tags[-1], multiple=True)
    assert received.bodies == bodies
    assert received.tags == list(range(1, len(bodies) + 1))
    assert received.redelivered == 0
    assert await in_queue(channel) == 0


async def test_what_was_not_acknowledged_comes_again_and_says_so(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    await publish(channel, [b"%d" % n for n in range(10)])
    first, second = Received(), Received()
    async with consumer_of(stack["AMQP_URL"], fast, first) as (consumer, _):
        await first.have(10)
        assert await consumer.lease.ack(4, multiple=True)
    assert not consumer.lease.alive
    assert not await consumer.lease.ack(10, multiple=True)
    async with consumer_of(stack["AMQP_URL"], fast, second):
        await second.have(6)
    assert sorted(second.bodies) == [b"%d" % n for n in range(4, 10)]
    assert second.redelivered == 6


@pytest.mark.parametrize("read_headers", [history_headers, all_headers])
async def test_headers_that_tell_of_a_past_come_with_their_message_or_all_if_asked(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool, read_headers: HeaderReader
) -> None:
    headers = {1: {"traceparent": "00-1"}, 3: {"x-gcc-attempts": "2", "other": "kept if asked"}}
    await publish(channel, [b"x"] * 6, headers)
    received = Received()
    async with consumer_of(stack["AMQP_URL"], fast, received, read_headers=read_headers):
        await received.have(6)
    told = {3: {"x-gcc-attempts": "2"}}
    assert received.headers == {at + 1: own for at, own in (headers if read_headers is all_headers else told).items()}


async def test_no_more_than_the_prefetch_comes_unacknowledged(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    await publish(channel, [b"x"] * 300)
    received = Received()
    async with consumer_of(stack["AMQP_URL"], fast, received, prefetch=100) as (consumer, _):
        await received.have(100)
        # The first few came to a consumer of their own, before it was known that there is room for more.
        assert await in_queue(channel) >= 190
        assert len(received.bodies) <= 110
        await consumer.lease.ack(50, multiple=True)
        await received.have(150)


async def test_after_a_stop_nothing_comes_and_what_came_can_be_acknowledged(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    await publish(channel, [b"x"] * 20)
    received = Received()
    async with consumer_of(stack["AMQP_URL"], fast, received) as (consumer, _):
        await received.have(20)
        await consumer.stop()
        await publish(channel, [b"y"] * 5)
        assert await consumer.lease.ack(20, multiple=True)
        assert await in_queue(channel) == 5
        assert received.bodies == [b"x"] * 20


async def test_the_lease_ends_when_the_queue_is_deleted(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    received = Received()
    async with consumer_of(stack["AMQP_URL"], fast, received) as (consumer, _):
        await channel.queue_delete(QUEUE)
        async with asyncio.timeout(10):
            await received.ended.wait()
        assert not consumer.lease.alive


async def test_the_lease_ends_with_its_channel_and_the_connection_lives_on(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    await publish(channel, [b"x"] * 3)
    received, again = Received(), Received()
    async with consumer_of(stack["AMQP_URL"], fast, received) as (consumer, connection):
        await received.have(3)
        await consumer.lease.ack(99, multiple=False)  # an unknown tag: the broker closes the channel
        assert await consumer.lease.dies_within(10)
        assert is_alive(connection)
        async with consuming(connection, QUEUE, Prefetch(10, 2**30), again.receive, history_headers, again.ended.set):
            await again.have(3)
    assert again.tags == [1, 2, 3]


async def test_the_lease_ends_when_the_connection_is_cut(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    parts = urlsplit(stack["AMQP_URL"])
    with Proxy(parts.hostname or "", parts.port or 0) as proxy:
        proxy.open()
        received = Received()
        url = stack["AMQP_URL"].replace(f":{parts.port}", f":{proxy.port}")
        async with consumer_of(url, fast, received) as (consumer, connection):
            proxy.close()
            assert await consumer.lease.dies_within(10)
            assert received.ended.is_set()
        assert not is_alive(connection)


async def test_what_the_receiver_did_not_take_in_is_never_acknowledged(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    def refuse(_deliveries: Deliveries) -> None:
        raise RuntimeError("cannot take this in")

    await publish(channel, [b"x"] * 3)
    ended = asyncio.Event()
    connection = await connect(stack["AMQP_URL"], "tests", DeliveryReader(bypass=fast))
    try:
        async with consuming(connection, QUEUE, Prefetch(10, 2**30), refuse, history_headers, ended.set) as consumer:
            assert await consumer.lease.dies_within(10)
            assert ended.is_set()
            assert not await consumer.lease.ack(3, multiple=True)
    finally:
        await close(connection)
    async with asyncio.timeout(10):
        while await in_queue(channel) != 3:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)


async def test_a_queue_that_is_not_there_is_named(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    async with connected(stack["AMQP_URL"], "tests", DeliveryReader(bypass=fast)) as connection:
        with pytest.raises(QueueMissing, match=r"tests\.not-there"):
            async with consuming(
                connection, "tests.not-there", Prefetch(10, 2**30), lambda _: None, history_headers, lambda: None
            ):
                pass


async def test_a_connection_that_only_brings_deliveries_is_not_taken_for_dead(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool
) -> None:
    received = Received()
    # aiormq gives up after three missed heartbeats of (1 + 1) seconds.
    async with consumer_of(stack["AMQP_URL"] + "?heartbeat=1", fast, received, prefetch=50) as (consumer, connection):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            before = len(received.bodies)
            await publish(channel, [b"x"] * 20)
            await received.have(before + 20)
            assert await consumer.lease.ack(received.tags[-1], multiple=True)
        assert is_alive(connection)


async def test_deliveries_come_over_tls(
    stack: Mapping[str, str], channel: AbstractChannel, fast: bool, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bodies = [b"%d" % n * 100 for n in range(3_000)]
    await publish(channel, bodies)
    async with tls_in_front_of(stack["AMQP_URL"], context) as port:
        parts = urlsplit(stack["AMQP_URL"])
        url = f"amqps://{parts.username}:{parts.password}@127.0.0.1:{port}{parts.path}?cafile={tmp_path / 'ca.pem'}"
        received = Received()
        async with consumer_of(url, fast, received):
            await received.have(len(bodies))
    assert received.bodies == bodies


@asynccontextmanager
async def tls_in_front_of(url: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    parts = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(parts.hostname, parts.port)
        tasks.add(asyncio.create_task(pump(reader, inner_writer)))
        tasks.add(asyncio.create_task(pump(inner_reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
