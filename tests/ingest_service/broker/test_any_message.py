"""Whatever is in a message, it comes once, with its body, on both ways of delivery, and its cost has a bound."""

import struct
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.broker.framing import FrameError
from ingest_service.broker.headers import HeaderReader, Headers, shown, size
from ingest_service.dead_letters.headers import (
    HISTORY_HEADERS,
    UNDECODABLE,
    DeadLetterHistory,
    all_headers,
    history_headers,
)
from tests.harness.amqp import (
    HEADERS,
    MICROSECONDS,
    Anything,
    Sent,
    delivery,
    field,
    long_text,
    nested,
    properties,
)
from tests.harness.work import calls
from tests.ingest_service.broker.ways import cut, fast, plain

MOST_CALLS = 25_000
FRAME = 131_064


@settings(max_examples=300)
@given(
    chance=st.integers(0, 2**32).map(Random),
    most=st.sampled_from([1, 7, 64]),
    cuts=st.lists(st.integers(0, 10**6), max_size=20),
    read_headers=st.sampled_from([history_headers, all_headers]),
)
def test_whatever_is_in_its_properties_each_message_comes_once_with_its_body_on_both_ways(
    chance: Random, most: int, cuts: list[int], read_headers: HeaderReader
) -> None:
    anything = Anything(chance)
    sent, expected = [], {}
    for tag in range(1, chance.randrange(2, 9)):
        whole, headers = anything.properties()
        spoiled = chance.random() < 0.4
        body = chance.choice([b"", b"x" * most, b"y" * (most + 1), b"z" * (most - 1), b"\xce" * 3 * most])
        own = anything.spoiled(whole) if spoiled else whole
        own = own if len(own) >= 2 else b"\x00\x00"  # the flags are the frame's, not the message's
        sent.append(Sent(body, own, chance.randbytes(3), chance.randbytes(200), chance.random() < 0.5))
        if not spoiled:
            expected[tag] = headers
    stream = b"".join(part for tag, each in enumerate(sent, 1) for part in delivery(each, 1, tag, most))

    ways = [way(cut(stream, cuts), read_headers) for way in (fast, plain)]

    for taken in ways:
        assert taken.bodies == [each.body for each in sent]
        assert taken.tags == list(range(1, len(sent) + 1))
        assert taken.redelivered == sum(each.redelivered for each in sent)
        for tag, headers in expected.items():
            kept = taken.headers.get(tag, {})
            assert (
                repr(kept) == repr(headers)
                if read_headers is all_headers
                else kept.keys() <= HISTORY_HEADERS & headers.keys()
            )
        for kept in taken.headers.values():
            DeadLetterHistory.from_headers(kept)
            assert size(kept) >= len(kept)
    assert repr(ways[0].headers) == repr(ways[1].headers)


@pytest.mark.parametrize("most", [FRAME - 1, FRAME, FRAME + 1, 2 * FRAME])
def test_bodies_of_sizes_around_a_frames_come_whole_on_both_ways(most: int) -> None:
    stream = b"".join(delivery(Sent(b"b" * most, properties(b"")), 1, 1, FRAME))
    assert fast([stream], history_headers).bodies == plain([stream], history_headers).bodies == [b"b" * most]


CRAFTED: dict[str, bytes] = {
    "a time in microseconds": properties(field(b"x-gcc-at", b"T", struct.pack(">Q", MICROSECONDS))),
    "as many fields as fit": properties(b"\x00V" * 65_000 + field(b"x-gcc-attempts", b"b", b"\x01")),
    "fields of ours": properties(field(b"x-gcc-attempts", b"b", b"\x01") * 7_000),
    "tables nested as deep as fits": properties(nested(b"F", 8_000) + field(b"x-gcc-attempts", b"b", b"\x01")),
    "arrays nested as deep as fits": properties(field(b"x-gcc-a", b"A", long_text(nested(b"A", 8_000)))),
    "an array of nothing": properties(field(b"x-gcc-a", b"A", long_text(b"V" * 130_000))),
    "a long text of ours": properties(field(b"x-gcc-replay", b"S", long_text(b"r" * 130_000))),
    "an integer of many digits": properties(field(b"x-gcc-attempts", b"S", long_text(b"9" * 130_000))),
    "an unknown type": properties(field(b"x-gcc-a", b"?", b"")),
    "a table that is longer than it is": struct.pack(">HI", HEADERS, 2**32 - 1) + field(b"x-gcc-a", b"V", b""),
    "flags without end": b"\xff" * 130_000 + b"x-gcc-",
    "a name that is no UTF-8": properties(field(b"\xffx-gcc-", b"V", b"")),
    "nothing": properties(b""),
}


@pytest.mark.parametrize("read", [history_headers, all_headers], ids=["service", "archiver"])
@pytest.mark.parametrize("crafted", CRAFTED.values(), ids=CRAFTED.keys())
def test_no_properties_cost_more_than_a_bound_in_work_and_memory(crafted: bytes, read: HeaderReader) -> None:
    kept: list[Headers] = []
    assert sum(calls(lambda: kept.append(read(crafted))).values()) < MOST_CALLS
    if read is all_headers:
        assert size(kept[0]) < 2 * len(crafted) + 100_000
        assert {name: shown(value) for name, value in kept[0].items()}.keys() == kept[0].keys()
    else:
        assert size(kept[0]) < 1_000
    DeadLetterHistory.from_headers(kept[0])


def test_properties_that_cannot_be_read_are_kept_for_the_archive_with_what_they_say_of_the_letter() -> None:
    table = field(b"x-gcc-reason", b"S", long_text(b"not_json")) + field(b"x-gcc-attempts", b"I", b"\x00\x00\x00\x03")
    spoiled = properties(table + field(b"other", b"?", b""))
    assert all_headers(spoiled) == {"x-gcc-reason": "not_json", "x-gcc-attempts": 3, UNDECODABLE: spoiled}
    assert history_headers(spoiled) == {"x-gcc-attempts": 3}


def test_a_delivery_that_is_cut_off_in_its_own_frame_is_no_stream() -> None:
    method, header, *_ = delivery(Sent(b""), 1, 1, 10)
    for short in (method[:3] + struct.pack(">I", 10) + method[7:17] + b"\xce", method + header[:3] + struct.pack(">I", 13) + header[7:20] + b"\xce"):  # fmt: skip # noqa: E501
        with pytest.raises(FrameError, match="cut off"):
            DeliveryReader().feed(short)
