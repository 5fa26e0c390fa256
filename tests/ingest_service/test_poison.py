"""One message, whatever is in it, ends in its table or as a dead letter and stops nobody, nor does it the archiver."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.amqp import MICROSECONDS, RawPublisher, Sent, field, long_text, nested, properties, short_text
from tests.harness.archiving import archive_once, body_of, files, lines, rows, waiting
from tests.harness.running import Table, eventually, service

TYPE = EVENT_TYPES["post_log"]
TIME = struct.pack(">Q", MICROSECONDS)


def event(seed: int) -> bytes:
    return Simulator(seed=seed).event(TYPE.name)


def with_headers(table: bytes, **others: bytes) -> bytes:
    return properties(table, **{"delivery_mode": b"\x02", **others})


PROPERTIES = [
    with_headers(field(b"x-gcc-at", b"T", TIME)),
    with_headers(field(b"x-gcc-attempts", b"T", TIME) + field(b"x-gcc-replay", b"x", long_text(b"\xff"))),
    with_headers(field(b"x-gcc-replay", b"S", long_text(b"\xff" * 50_000))),
    with_headers(b"\x00V" * 50_000 + field(b"x-gcc-a", b"V", b"")),
    with_headers(nested(b"F", 5_000) + field(b"x-gcc-a", b"V", b"")),
    with_headers(field(b"x-gcc-a", b"A", long_text(nested(b"A", 5_000)))),
    with_headers(field(b"x-gcc-a", b"D", b"\xff\xff\xff\xff\xff") + field(b"many", b"l", b"\x7f" * 8)),
    with_headers(field(b"x-gcc-\xff", b"S", long_text(b"\xff"))),
    properties(delivery_mode=b"\x02", timestamp=TIME),
    properties(delivery_mode=b"\x02", content_type=short_text(b"\xff"), message_id=short_text(b"\xfe\xff")),
]


def poisoned(own: bytes, body: bytes) -> Sent:
    return Sent(body, own, b"beat.dx", TYPE.routing_key.encode())


def by_another_way() -> Sent:
    """A routing key that is no UTF-8; CC leads it into the queue."""
    cc = field(b"CC", b"A", long_text(b"S" + long_text(TYPE.routing_key.encode())))
    return Sent(event(900), with_headers(cc), b"beat.dx", b"\xff\xfe")


BODIES = [
    event(901)[:-1] + b', "new": "' + b'{\\"a\\":[\\"b\\",{}]} ' * 10_000,  # a caption of escaped JSON, cut off
    b'"' * 200_000,
    b"[" * 300 + b'"' + b"\\" * 200_000,
    b"[" * 200_000,
    event(902).replace(b'"metrics":{', b'"metrics":{"new":1e999,'),
    b"\xff" * 1_000,
    b"",
]


@pytest.mark.parametrize("delivery", ["fast", "aio-pika"])
def test_poisoned_messages_land_or_are_dead_lettered_and_stop_nobody(
    environment: Mapping[str, str], tmp_path: Path, delivery: str
) -> None:
    good = [event(seed) for seed in range(100)]
    sent = [Sent(body, properties(delivery_mode=b"\x02"), b"beat.dx", TYPE.routing_key.encode()) for body in good]
    poison = [
        *(poisoned(own, event(1_000 + n)) for n, own in enumerate(PROPERTIES)),
        *(poisoned(own, b"no JSON %d" % n) for n, own in enumerate(PROPERTIES)),
        *(poisoned(properties(delivery_mode=b"\x02"), body) for body in BODIES),
        by_another_way(),
    ]
    for n, each in enumerate(poison):
        sent.insert(3 * n, each)
    with service(environment, tmp_path, GCC_DELIVERY=delivery, GCC_DEAD_LETTER_SHARE="1") as running:
        running.wait_ready()
        process = running.process
        with RawPublisher(environment["AMQP_URL"]) as publisher:
            for each in sent:
                publisher.publish(each)
        table = Table(environment, TYPE.table)
        letters = len(PROPERTIES) + len(BODIES)
        eventually(lambda: waiting(environment, TYPE.error_queue) == letters, what=running.log.read_text()[-3000:])
        eventually(lambda: table.count() == len(sent) - letters, what=running.log.read_text()[-3000:])
        landed = {row["event_id"] for row in table.rows("event_id")}
        assert {json.loads(body)["event_id"] for body in good} <= landed
        assert running.process is process
        assert process.poll() is None
        assert running.status(TYPE.name)["received"] == len(sent)  # each came once: no connection was lost
        assert running.get("/ready")[0] == 200


def test_a_letter_with_poisoned_headers_is_archived_with_them_and_stops_no_other(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    archiving = {**environment, "GCC_ARCHIVE_URL": str(tmp_path)}
    others = EVENT_TYPES["order_log"].error_queue.encode()
    with RawPublisher(environment["AMQP_URL"]) as publisher:
        for n, own in enumerate(PROPERTIES):
            publisher.publish(Sent(b"poisoned %d" % n, own, b"beat.dx", TYPE.error_queue.encode()))
            publisher.publish(Sent(b"good %d" % n, properties(b"", delivery_mode=b"\x02"), b"beat.dx", others))
    assert archive_once(archiving) == 2 * len(PROPERTIES)
    found = {body_of(line): line.headers for file in files(archiving) for line in lines(file)}
    assert found.keys() == {b"%s %d" % (kind, n) for n in range(len(PROPERTIES)) for kind in (b"poisoned", b"good")}
    assert found[b"poisoned 0"] == {"x-gcc-at": MICROSECONDS}
    assert found[b"poisoned 6"] == {"x-gcc-a": "-1E-255", "many": 0x7F7F7F7F7F7F7F7F}
    assert found[b"poisoned 7"] == {"x-gcc-\\xff": {"base64": "/w=="}}
    assert found[b"poisoned 4"].keys() == {"x-gcc-undecodable-properties"}
    assert len(rows(environment, "letter_id")) == 2 * len(PROPERTIES)
