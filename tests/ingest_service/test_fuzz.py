"""Whole messages, spoiled in every part, through both ways of delivery, admission and the real table.

Each lands as its body was sent, or is dead-lettered with a reason.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from json.decoder import scanstring
from typing import Any

from ingest_service.backoff import Backoff
from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.clickhouse import client as clickhouse
from ingest_service.commands.simulator import Simulator
from ingest_service.dead_letters.headers import all_headers, history_headers
from ingest_service.dead_letters.queue import DeadLetterQueue
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds
from ingest_service.observability.health import Health, TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.pipeline.buffer import Batch
from ingest_service.pipeline.sinker import Sinker, SinkerSettings
from tests.harness.amqp import Anything, Sent, delivery
from tests.harness.leases import RememberingLease
from tests.harness.running import query
from tests.ingest_service.broker.ways import Taken, cut, fast, plain

BODIES = int(os.environ.get("GCC_FUZZ_BODIES", "6000"))
SEED = int(os.environ.get("GCC_FUZZ_SEED", "7"))
BATCH = 500
TYPE = EVENT_TYPES["post_log"]
CONTRACT = {"event_id", "source", "platform", "profile_id", "handle", "shortcode", "publish_time", "event_timestamp"}

NASTY = [
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"01", b"1.", b"0.1"),
    *(b"18446744073709551616", b"9007199254740993", b"123456789012345678901234567890", b"1768469400000000"),
    *(b'""', b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\\ud800"', '"ünï✨"'.encode(), b'"\xff"', b'"\xed\xa0\x80"'),
    *(b'"a\nb"', b'"\\q"', b'"' + b"x" * 3000 + b'"'),
    *(b"{}", b"[]", b'{"a":{"a":[1,2,{"b":null}]}}', b'{"a":1,"a":2}', b'{"z": 1.50 , "a" :[ ]}'),
    *(b"[" * 80 + b"]" * 80, b"[" * 2000),
    *(b'"2026-01-15 09:30:00"', b'"2026-01-15T09:30:00.123456789+05:30"'),
    *(b'"1969-12-31 23:59:59"', b'"58356-01-01 00:00:00"'),
    *(b'{"views":1e999}', b'{"views":-1E0400,"likes":1}', b'{"views":1e308}'),
]


class Collected:
    """Dead letters, with their headers, instead of a broker."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.reasons: set[str] = set()

    async def send(self, messages: Sequence[Message]) -> PublishResult:
        for message in messages:
            assert message.routing_key == TYPE.error_queue
            assert message.headers["x-gcc-detail"]
            self.bodies.append(message.body)
            self.reasons.add(str(message.headers["x-gcc-reason"]))
        return PublishResult([Outcome.CONFIRMED] * len(messages), "")


def mutated(chance: random.Random, body: bytes) -> bytes:
    """A body spoiled in one of several ways; some leave it whole."""
    return chance.choice(WAYS)(chance, body, chance.randrange(len(body)))


def whole(_chance: random.Random, body: bytes, _at: int) -> bytes:
    return body


def another_byte(chance: random.Random, body: bytes, at: int) -> bytes:
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def bytes_lost(chance: random.Random, body: bytes, at: int) -> bytes:
    return body[:at] + body[at + chance.randrange(1, 9) :]


def something_put_in(chance: random.Random, body: bytes, at: int) -> bytes:
    return body[:at] + chance.choice(NASTY) + body[at:]


def cut_off(_chance: random.Random, body: bytes, at: int) -> bytes:
    return body[:at]


def part_repeated(chance: random.Random, body: bytes, at: int) -> bytes:
    return body[: at + chance.randrange(1, 60)] + body[at:]


def another_value(chance: random.Random, body: bytes, _at: int) -> bytes:
    value = chance.choice(list(re.finditer(rb'": ?("[^"]*"|\d+|\{[^{}]*\}|null)', body)))
    return body[: value.start(1)] + chance.choice(NASTY) + body[value.end(1) :]


def another_field(chance: random.Random, body: bytes, at: int) -> bytes:
    return another_value(chance, body, at)[:-1] + b', "new": ' + chance.choice(NASTY) + b"}"


def a_field_twice(chance: random.Random, body: bytes, _at: int) -> bytes:
    value = chance.choice(list(re.finditer(rb'"\w+": ?("[^"]*"|\d+|\{[^{}]*\}|null)', body)))
    return body[:-1] + b", " + value[0] + b"}"


WAYS = [whole, whole, another_byte, bytes_lost, something_put_in, cut_off, part_repeated, another_value, another_field]
# Admission leaves these to the table, which takes three inserts to be rid of one: enough of them, not too many.
WAYS = [*WAYS * 9, a_field_twice]


def fields(body: bytes) -> dict[str, str]:
    """The fields of an object and their values' very text, by nothing of ours."""
    text = body.decode()
    space = re.compile(r"[ \t\n\r]*")
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    found: dict[str, str] = {}
    at = space.match(text, text.index("{") + 1).end()  # type: ignore[union-attr]
    while text[at] != "}":
        name, at = scanstring(text, at + 1)
        at = space.match(text, at).end()  # type: ignore[union-attr]
        start = space.match(text, at + 1).end()  # type: ignore[union-attr]
        _, at = decoder.raw_decode(text, start)
        assert name not in found, "twice"
        found[name] = text[start:at]
        at = space.match(text, at).end()  # type: ignore[union-attr]
        if text[at] == ",":
            at = space.match(text, at + 1).end()  # type: ignore[union-attr]
    return found


def expected(body: bytes) -> dict[str, Any]:
    """What the table must say of a body that landed."""
    sent = fields(body)
    row: dict[str, Any] = {name: json.loads(sent.get(name, "null")) for name in CONTRACT}
    row["event_id"] = row["event_id"].lower()
    for name in ("event_timestamp", "publish_time"):
        row[name] = row[name] and moment(row[name])
    for name in ("metrics", "dimensions"):
        row[name] = sent.get(name, "{}")
    row["extra"] = {
        name: json.loads(text) for name, text in sent.items() if name not in {*CONTRACT, "metrics", "dimensions"}
    }
    return row


def moment(text: str) -> str:
    # Python reads at most six digits of a fraction; the table keeps as many.
    found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).upper())
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def landed(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in (*CONTRACT, "metrics", "dimensions")}, "extra": json.loads(row["extra"])}


def test_every_mutated_body_lands_with_its_values_or_is_dead_lettered_with_a_reason(
    environment: Mapping[str, str],
) -> None:
    chance, simulator = random.Random(SEED), Simulator(seed=SEED)
    originals = [simulator.event("post_log") for _ in range(BODIES)]
    bodies = [mutated(chance, body) for body in originals]
    letters, began = Collected(), time.monotonic()
    asyncio.run(settle(environment["CLICKHOUSE_URL"], bodies, letters))
    seconds = time.monotonic() - began

    dead = set(letters.bodies)
    assert Counter(letters.bodies) == Counter(body for body in bodies if body in dead)
    survivors = [body for body in bodies if body not in dead]
    url = environment["CLICKHOUSE_URL"]
    answer = query(
        url,
        "SELECT * FROM _e.post_log_events FINAL FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers=1",
    )
    rows = {canonical(landed(json.loads(line))) for line in answer.splitlines()}
    wanted = {canonical(expected(body)) for body in survivors}
    assert rows - wanted == set()
    # Two bodies may have become the same row; else each is there.
    assert wanted - rows == set()
    assert dead.isdisjoint(originals)
    assert len(dead) > BODIES / 4
    print(f"seed {SEED}: {len(bodies)} bodies, {len(rows)} rows, {len(letters.bodies)} dead-lettered for "
          f"{sorted(letters.reasons)} in {seconds:.1f} s")  # fmt: skip


def canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


async def settle(url: str, bodies: Sequence[bytes], letters: Collected) -> None:
    async with clickhouse.connected(url, 60) as warehouse:
        sinker = Sinker(
            TYPE, warehouse, DeadLetterQueue(TYPE, letters), Backoff(0.01, 0.1), SinkerSettings(Bounds(), 600, 1.0),
            TypeHealth(TYPE.name), Metrics(Health()), time.monotonic,
        )  # fmt: skip
        lease, chance = RememberingLease(), random.Random(SEED)
        for number, start in enumerate(range(0, len(bodies), BATCH)):
            taken = delivered(chance, bodies[start : start + BATCH], (fast, plain)[number % 2])
            headers = {tag - 1: own for tag, own in taken.headers.items()}
            now = time.monotonic()
            await sinker.settle(Batch(lease, taken.tags[-1], tuple(taken.bodies), now, now, headers=headers))


def delivered(chance: random.Random, bodies: Sequence[bytes], way: Callable[[Iterable[bytes], bool], Taken]) -> Taken:
    """The bodies after they were messages, each with some properties, in a stream that is cut somewhere."""
    anything = Anything(chance)
    stream = b"".join(part for tag, body in enumerate(bodies, 1) for part in message(chance, anything, tag, body))
    taken = way(
        cut(stream, [chance.randrange(len(stream)) for _ in range(20)]), chance.choice([history_headers, all_headers])
    )
    assert taken.tags == list(range(1, len(bodies) + 1))
    assert taken.bodies == list(bodies)
    return taken


def message(chance: random.Random, anything: Anything, tag: int, body: bytes) -> list[bytes]:
    own, _ = anything.properties() if chance.random() < 0.7 else (b"\x00\x00", {})
    if chance.random() < 0.3:
        own = (anything.spoiled(own) + b"\x00\x00")[: max(2, len(own))]
    key = TYPE.routing_key.encode() if chance.random() < 0.9 else chance.randbytes(20)
    return delivery(Sent(body, own, b"beat.dx", key), 1, tag, chance.choice([100, 131_064]))
