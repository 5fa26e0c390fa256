from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ingest_service.broker.headers import Headers, size
from ingest_service.broker.lease import Deliveries
from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.dead_letters.headers import DeadLetterHistory
from ingest_service.dead_letters.queue import DeadLetterQueue
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Reason
from ingest_service.pipeline.buffer import Buffer, Limits
from tests.harness.leases import RememberingLease

FIRST = datetime(2026, 11, 24, 3, 0, 0, 123_456, UTC)
LATER = datetime(2026, 11, 24, 5, 0, 0, 999_999, UTC)


class RememberingPublisher:
    def __init__(self) -> None:
        self.headers: list[Headers] = []

    async def send(self, messages: Sequence[Message]) -> PublishResult:
        self.headers += [message.headers for message in messages]
        return PublishResult([Outcome.CONFIRMED] * len(messages), "")


async def headers_of(past: DeadLetterHistory, now: datetime, body: bytes = b"{") -> Headers:
    publisher = RememberingPublisher()
    letters = DeadLetterQueue(EVENT_TYPES["order_log"], publisher)
    await letters.publish([letters.letter(body, Reason.NOT_JSON, "cut off", past, now)])
    return publisher.headers[0]


async def test_a_first_dead_letter_says_the_same_time_twice_and_one_attempt() -> None:
    told = await headers_of(DeadLetterHistory(), FIRST)
    assert told["x-gcc-attempts"] == 1
    assert told["x-gcc-first-rejected-at"] == told["x-gcc-last-rejected-at"] == "2026-11-24T03:00:00.123+00:00"
    assert "x-gcc-replay" not in told


async def test_a_message_that_fails_again_keeps_its_first_time_and_its_replay_and_counts_one_attempt_more() -> None:
    replayed = {
        **DeadLetterHistory.from_headers(await headers_of(DeadLetterHistory(), FIRST)).to_headers(),
        "x-gcc-replay": "r1",
    }
    told = await headers_of(DeadLetterHistory.from_headers(replayed), LATER)
    assert told["x-gcc-attempts"] == 2
    assert told["x-gcc-first-rejected-at"] == "2026-11-24T03:00:00.123+00:00"
    assert told["x-gcc-last-rejected-at"] == "2026-11-24T05:00:00.999+00:00"
    assert told["x-gcc-replay"] == "r1"
    assert told["x-gcc-letter-id"] == replayed["x-gcc-letter-id"]


async def test_a_message_without_an_event_id_is_a_letter_of_its_own_and_one_with_it_is_always_the_same() -> None:
    alike = {(await headers_of(DeadLetterHistory(), FIRST, b'{"broken'))["x-gcc-letter-id"] for _ in range(50)}
    assert len(alike) == 50
    body = b'{"event_id": "00000000-0000-4000-8000-000000000001", "cut'
    assert (
        len({(await headers_of(DeadLetterHistory(), moment, body))["x-gcc-letter-id"] for moment in (FIRST, LATER)})
        == 1
    )


async def test_an_id_that_was_forged_is_not_believed_for_another_body() -> None:
    own = DeadLetterHistory.from_headers(await headers_of(DeadLetterHistory(), FIRST, b"one"))
    assert (await headers_of(own, LATER, b"one"))["x-gcc-letter-id"] == str(own.letter_id)
    assert (await headers_of(own, LATER, b"two"))["x-gcc-letter-id"] != str(own.letter_id)


@pytest.mark.parametrize(
    "value", [None, "", "many", b"\xff", [1], {"a": 1}, -3, "9" * 30, "9" * 10_000, "9999-12-31T23:59:59-23:59"]
)
def test_headers_without_sense_are_no_past(value: object) -> None:
    names = ("x-gcc-attempts", "x-gcc-first-rejected-at", "x-gcc-replay", "x-gcc-letter-id")
    past = DeadLetterHistory.from_headers(dict.fromkeys(names, value))
    assert 0 <= past.attempts <= 2**31
    assert past.first_rejected_at is past.letter_id is None
    assert past.replay is None or len(past.replay) <= 100


def test_a_letters_id_goes_with_it() -> None:
    told = {"x-gcc-letter-id": "4B76DDCF-676f-5fe8-ba32-4b6e901ccaa9"}
    assert DeadLetterHistory.from_headers(told).to_headers()["x-gcc-letter-id"] == told["x-gcc-letter-id"].lower()
    assert "x-gcc-letter-id" not in DeadLetterHistory().to_headers()


def test_the_size_of_headers_counts_what_is_nested_in_them() -> None:
    assert size({}) == 0
    assert 1_000 <= size({"a": "x" * 1_000}) < 1_100
    assert 1_000 <= size({"a": {"b": [b"x" * 500, "x" * 500]}}) < 1_500


def test_headers_stay_with_their_message_through_the_buffer() -> None:
    lease, buffer = RememberingLease(), Buffer(Limits(2, 1_000, 10), lambda: 0.0)
    own = {tag: {"x-gcc-attempts": tag} for tag in (7, 10, 11)}
    buffer.add(Deliveries(lease, range(7, 12), [b"7", b"8", b"9", b"10", b"11"], headers=own))
    batches = [buffer.take() for _ in range(3)]
    seen = {batch.bodies[at]: told["x-gcc-attempts"] for batch in batches for at, told in batch.headers.items()}
    assert seen == {b"7": 7, b"10": 10, b"11": 11}
