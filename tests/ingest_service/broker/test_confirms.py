"""What the broker says about published messages is known for each of them, however it says it, and when it ends."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from aio_pika.abc import AbstractChannel
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from ingest_service.broker.confirm_reader import ConfirmReader, PublishBatch
from ingest_service.broker.confirms import confirming
from ingest_service.broker.connection import connected
from ingest_service.broker.published import Message, Outcome
from tests.ingest_service.broker.ways import cut

CONFIRMED, REFUSED, UNKNOWN = Outcome.CONFIRMED, Outcome.REFUSED, Outcome.UNKNOWN
QUEUE = "tests.confirms"


@given(
    count=st.integers(1, 60),
    answers=st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.booleans(), st.booleans()), max_size=30),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
)
async def test_any_answers_cut_anywhere_are_each_messages_own_and_what_is_not_an_answer_is_left(
    count: int, answers: list[tuple[int, bool, bool, bool]], cuts: list[int]
) -> None:
    """Against the plainest oracle: a list of outcomes, written by tag."""
    messages = [Message("key", b"%d" % number) for number in range(count)]
    heartbeat = b"\x08\x00\x00\x00\x00\x00\x00\xce"
    expected: list[Outcome] = [UNKNOWN] * count
    stream = others = b""
    for wanted, multiple, nack, returned in answers:
        tag = min(wanted, count)
        if returned and not multiple and expected[tag - 1] is UNKNOWN:
            stream += returned_frames(messages[tag - 1])
            nack_it = False
            outcome = REFUSED
        else:
            nack_it, outcome = nack, REFUSED if nack else CONFIRMED
        method = commands.Basic.Nack if nack_it else commands.Basic.Ack
        stream += frame.marshal(method(delivery_tag=tag, multiple=multiple), 1) + heartbeat
        others += heartbeat
        for position in range(tag) if multiple else (tag - 1,):
            if expected[position] is UNKNOWN:
                expected[position] = outcome

    reader = ConfirmReader()
    reader.watch(1)
    flight = PublishBatch(messages, 1, asyncio.get_running_loop().create_future())
    reader.batches_in_flight.append(flight)
    left = b"".join(reader.feed(piece) for piece in cut(stream, cuts))

    assert flight.outcomes == expected
    assert left == others
    assert flight.done.done() is (UNKNOWN not in expected)


def returned_frames(message: Message) -> bytes:
    method = commands.Basic.Return(312, "NO_ROUTE", "beat.dx", message.routing_key)
    header = ContentHeader(0, len(message.body))
    return b"".join(frame.marshal(each, 1) for each in (method, header, ContentBody(message.body)))


@pytest.fixture
async def queue(stack: Mapping[str, str]) -> Iterator[AbstractChannel]:  # type: ignore[misc]
    async with connected(stack["AMQP_URL"], "tests") as connection, connection.channel() as channel:
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        yield channel
        await channel.queue_delete(QUEUE)


async def depth(channel: AbstractChannel) -> int:
    return (await channel.declare_queue(QUEUE, passive=True)).declaration_result.message_count or 0


async def test_bodies_of_every_size_are_confirmed_and_there(stack: Mapping[str, str], queue: AbstractChannel) -> None:
    sizes = [0, 1, 131_063, 131_064, 131_065, 300_000, 3_000_000, *([450] * 3_000)]
    messages = [Message(QUEUE, b"x" * size, {"x-n": number}) for number, size in enumerate(sizes)]
    async with confirming(stack["AMQP_URL"], "tests", "") as channel:
        published = await channel.publish(messages, 60)
    assert published.confirmed
    assert await depth(queue) == len(sizes)
    got = await (await queue.get_queue(QUEUE)).get()
    assert (got.body, got.headers["x-n"], got.delivery_mode, got.content_type) == (b"", 0, 2, "application/json")


async def test_a_message_that_no_queue_is_bound_for_is_refused_and_its_mates_are_confirmed(
    stack: Mapping[str, str], queue: AbstractChannel
) -> None:
    messages = [Message(key, b"%d" % number) for number, key in enumerate([QUEUE, "nowhere", QUEUE, "nowhere"])]
    async with confirming(stack["AMQP_URL"], "tests", "") as channel:
        published = await channel.publish(messages, 30)
    assert published.outcomes == [CONFIRMED, REFUSED, CONFIRMED, REFUSED]
    assert "NO_ROUTE" in published.trouble
    assert "nowhere" in published.trouble


async def test_what_a_full_queue_does_not_take_is_refused_and_what_it_takes_is_confirmed(
    stack: Mapping[str, str], queue: AbstractChannel
) -> None:
    with policy(stack["RABBITMQ_MANAGEMENT_URL"], {"max-length": 5, "overflow": "reject-publish"}):
        async with confirming(stack["AMQP_URL"], "tests", "") as channel:
            outcomes: list[Outcome] = []
            for number in range(50):
                outcomes += (await channel.publish([Message(QUEUE, b"%d" % number)], 30)).outcomes
    assert outcomes.count(CONFIRMED) == await depth(queue)
    assert outcomes.count(REFUSED) == 50 - outcomes.count(CONFIRMED) > 0


async def test_publishing_to_an_exchange_that_is_not_there_ends_the_channel_at_once_and_says_so(
    stack: Mapping[str, str],
) -> None:
    async with confirming(stack["AMQP_URL"], "tests", "tests.no-such-exchange") as channel:
        for _ in range(2):
            published = await asyncio.wait_for(channel.publish([Message("x", b"x")] * 3, 30), 10)
            assert published.outcomes == [UNKNOWN] * 3
            assert "no exchange 'tests.no-such-exchange'" in published.trouble
        assert channel.closed


async def test_side_by_side_each_knows_what_became_of_its_own(stack: Mapping[str, str], queue: AbstractChannel) -> None:
    async with confirming(stack["AMQP_URL"], "tests", "") as channel:
        keys: Sequence[str] = [QUEUE, "nowhere"]
        found = await asyncio.gather(
            *(channel.publish([Message(keys[n % 2], b"%d" % n)] * 20, 60) for n in range(20)),
        )
    assert [set(published.outcomes) for published in found] == [{CONFIRMED}, {REFUSED}] * 10


@contextmanager
def policy(url: str, definition: dict[str, object]) -> Iterator[None]:
    """A policy on the queue of these tests."""
    parts = urlsplit(url)
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"http://{parts.hostname}:{parts.port}", parts.username or "", parts.password or "")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    place = f"http://{parts.hostname}:{parts.port}/api/policies/%2F/tests"
    body = json.dumps({"pattern": f"^{QUEUE}$", "definition": definition, "apply-to": "queues"}).encode()
    opener.open(urllib.request.Request(place, body, {"Content-Type": "application/json"}, method="PUT")).close()
    try:
        yield
    finally:
        opener.open(urllib.request.Request(place, method="DELETE")).close()


def test_frames_of_a_message_are_those_that_pamqp_reads() -> None:
    from ingest_service.broker.publish_frames import publish_frames

    stream = publish_frames(7, "beat.dx", "key", b"x" * 20, {"x-gcc-attempts": 2, "x-gcc-reason": "é"}, 18)
    parts = []
    while stream:
        used, channel, part = frame.unmarshal(stream)
        assert channel == 7
        parts.append(part)
        stream = stream[used:]
    method, header, *bodies = parts
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == ("beat.dx", "key", True)
    assert isinstance(header, ContentHeader)
    assert (header.body_size, header.properties.headers) == (20, {"x-gcc-attempts": 2, "x-gcc-reason": "é"})
    assert [part.value for part in bodies if isinstance(part, ContentBody)] == [b"x" * 10] * 2
