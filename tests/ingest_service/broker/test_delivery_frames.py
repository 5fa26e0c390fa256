"""However a stream of frames is cut, the deliveries come out the same and everything else is left as it was."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import body, commands, frame, header, heartbeat
from pamqp.commands import Basic

from ingest_service.broker.delivery_frames import DeliveryReader, Inbox
from ingest_service.broker.framing import FrameError
from ingest_service.dead_letters.headers import all_headers, history_headers
from tests.ingest_service.broker.ways import Taken

WATCHED = (1, 2)
OTHER = 3


@dataclass
class Message:
    """One delivery, as it is sent."""

    channel: int
    body: bytes
    redelivered: bool = False
    headers: Mapping[str, str] | None = None
    exchange: str = "beat.dx"
    message_id: str | None = None


def frames(message: Message, tag: int, frame_max: int) -> list[bytes]:
    """A delivery as pamqp, which aiormq uses, writes it."""
    deliver = Basic.Deliver(f"ctag-{message.channel}", tag, message.redelivered, message.exchange, "key")
    properties = commands.Basic.Properties(
        content_type="application/json", delivery_mode=2, headers=message.headers, message_id=message.message_id
    )
    size = len(message.body)
    parts = [message.body[at : at + frame_max] for at in range(0, size, frame_max)]
    return [
        frame.marshal(deliver, message.channel),
        frame.marshal(header.ContentHeader(0, size, properties), message.channel),
        *(frame.marshal(body.ContentBody(part), message.channel) for part in parts),
    ]


OTHERS = [
    frame.marshal(heartbeat.Heartbeat(), 0),
    frame.marshal(Basic.Ack(7, True), OTHER),
    frame.marshal(Basic.QosOk(), 1),
    frame.marshal(Basic.Cancel("ctag-2", True), 2),
    b"".join(
        [
            frame.marshal(Basic.GetOk(3, False, "beat.dx", "key", 0), OTHER),
            *frames(Message(OTHER, b"a message that was asked for", headers={"x-gcc-attempts": "1"}), 1, 10)[1:],
        ]
    ),
]

bodies = st.one_of(
    st.binary(max_size=20), st.just(b'{"a":1}'), st.just(b"\xce" * 30), st.binary(min_size=90, max_size=90)
)
messages = st.builds(
    Message,
    channel=st.sampled_from(WATCHED),
    body=bodies,
    redelivered=st.booleans(),
    headers=st.sampled_from([None, None, None, {"traceparent": "00"}, {"x-gcc-attempts": "1"}]),
    exchange=st.sampled_from(["beat.dx", "beat.dx", ""]),
    message_id=st.sampled_from([None, None, "m-1", "m-22"]),
)


def read(stream: bytes, cuts: list[int]) -> tuple[dict[int, Taken], bytes]:
    reader, taken = DeliveryReader(), {channel: Taken() for channel in WATCHED}
    for channel, each in taken.items():
        reader.watch(channel, Inbox(each.take, history_headers))
    rest = b""
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        rest += reader.feed(stream[start:end])
    return taken, rest


@settings(max_examples=400)
@given(
    sent=st.lists(st.one_of(messages, st.sampled_from(OTHERS)), min_size=1, max_size=25),
    frame_max=st.sampled_from([7, 64, 4096]),
    cuts=st.lists(st.integers(0, 10**6), max_size=30),
    interleaved=st.randoms(use_true_random=False),
)
def test_any_cut_of_any_stream_gives_the_same_deliveries_and_leaves_the_rest_byte_exact(
    sent: list[Message | bytes], frame_max: int, cuts: list[int], interleaved: object
) -> None:
    expected = {channel: Taken() for channel in WATCHED}
    # The frames of one channel keep their order, those of different channels may come in any.
    lanes: dict[int, list[bytes]] = {0: [], **{channel: [] for channel in WATCHED}}
    for each in sent:
        if isinstance(each, bytes):
            lanes[0].append(each)
            continue
        own = expected[each.channel]
        own.tags.append(len(own.tags) + 1)
        own.bodies.append(each.body)
        own.redelivered += each.redelivered
        if each.headers and "x-gcc-attempts" in each.headers:
            own.headers[own.tags[-1]] = each.headers
        lanes[each.channel] += frames(each, own.tags[-1], frame_max)
    stream = b"".join(shuffled(lanes, interleaved))

    taken, rest = read(stream, cuts)

    assert taken == expected
    assert rest == b"".join(lanes[0])


def shuffled(lanes: dict[int, list[bytes]], random: object) -> list[bytes]:
    left = {lane: list(reversed(content)) for lane, content in lanes.items() if content}
    mixed = []
    while left:
        lane = random.choice(sorted(left))  # type: ignore[attr-defined]
        mixed.append(left[lane].pop())
        if not left[lane]:
            del left[lane]
    return mixed


def test_every_header_is_kept_where_that_is_asked_for() -> None:
    taken, reader = Taken(), DeliveryReader()
    reader.watch(1, Inbox(taken.take, all_headers))
    reader.feed(b"".join(frames(Message(1, b"x", headers={"any": "thing"}), 1, 100) + frames(Message(1, b"y"), 2, 100)))
    assert taken.headers == {1: {"any": "thing"}}


@pytest.mark.parametrize(
    "again",
    [
        frame.marshal(commands.Channel.Close(404, "gone", 0, 0), 1),
        frame.marshal(commands.Channel.CloseOk(), 1),
        frame.marshal(commands.Channel.OpenOk(), 1),
    ],
)
def test_after_its_channel_was_closed_or_opened_again_nothing_more_is_taken(again: bytes) -> None:
    taken, reader = Taken(), DeliveryReader()
    reader.watch(1, Inbox(taken.take, history_headers))
    first, cut_off, second = (b"".join(frames(Message(1, each), 1, 100)) for each in (b"old", b"cut off", b"new"))
    assert reader.feed(first + cut_off[:-1]) == b""
    rest = reader.feed(cut_off[-1:] + again + second)
    assert taken.bodies == [b"old", b"cut off"]
    assert rest == again + DeliveryReader().feed(second)


def test_an_inbox_that_is_forgotten_late_leaves_its_successor_alone() -> None:
    old, new, reader = Taken(), Taken(), DeliveryReader()
    first, second = Inbox(old.take, history_headers), Inbox(new.take, history_headers)
    reader.watch(1, first)
    reader.watch(1, second)
    reader.forget(1, first)
    reader.feed(b"".join(frames(Message(1, b"x"), 1, 100)))
    assert (old.bodies, new.bodies) == ([], [b"x"])


def test_a_refusal_of_the_protocol_is_left_to_aiormq() -> None:
    assert DeliveryReader().feed(b"AMQP\x00\x00\x09\x01") == b"AMQP\x00\x00\x09\x01"


GOOD = b"".join(frames(Message(1, b"x" * 50), 1, 100))


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (GOOD[:-1] + b"\x00", "does not end"),
        (GOOD + GOOD[:-1] + b"\x00", "does not end"),
        (b"\x07" + GOOD[1:10], "not a frame: type 7"),
        (struct.pack(">BHI", 1, 1, 2**31) + b"x", "not a frame"),
        (GOOD + frames(Message(1, b"y"), 3, 100)[0] + GOOD, "before the last one has ended"),
        (b"".join(frames(Message(1, b"x"), 1, 9) + frames(Message(1, b"z"), 5, 9)), "tags 1 to 5"),
        (frames(Message(1, b"x"), 1, 9)[0] + frames(Message(1, b"x"), 1, 9)[2], "does not continue"),
    ],
)
def test_a_stream_that_is_out_of_step_is_noticed(stream: bytes, said: str) -> None:
    reader = DeliveryReader()
    reader.watch(1, Inbox(Taken().take, history_headers))
    with pytest.raises(FrameError, match=said):
        reader.feed(stream)
