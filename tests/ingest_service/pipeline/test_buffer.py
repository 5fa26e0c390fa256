from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.broker.lease import Deliveries
from ingest_service.pipeline.buffer import Buffer, Limits, TagGap, Trigger
from tests.harness.leases import RememberingLease

LIMITS = Limits(rows=5, bytes=50, seconds=10.0)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def deliveries(lease: RememberingLease, first: int, bodies: list[bytes]) -> Deliveries:
    return Deliveries(lease, range(first, first + len(bodies)), bodies)


def test_an_empty_buffer_is_never_due() -> None:
    buffer = Buffer(LIMITS, Clock())
    assert buffer.trigger() is None
    assert buffer.seconds_left() is None


@pytest.mark.parametrize(
    ("bodies", "later", "expected"),
    [
        ([b"x"] * 4, 9.9, None),
        ([b"x"] * 5, 0, Trigger.ROWS),
        ([b"x" * 30, b"x" * 20], 0, Trigger.BYTES),
        ([b"x"], 10, Trigger.AGE),
    ],
)
def test_a_batch_is_due_by_rows_bytes_or_the_age_of_its_oldest_message(
    bodies: list[bytes], later: float, expected: Trigger | None
) -> None:
    clock = Clock()
    buffer = Buffer(LIMITS, clock)
    buffer.add(deliveries(RememberingLease(), 1, bodies))
    clock.now = later
    assert buffer.trigger() is expected


def test_age_counts_from_the_oldest_message_that_is_left_after_a_batch_was_taken() -> None:
    clock, lease = Clock(), RememberingLease()
    buffer = Buffer(LIMITS, clock)
    buffer.add(deliveries(lease, 1, [b"x"] * 5))
    clock.now = 4
    buffer.add(deliveries(lease, 6, [b"y"]))
    buffer.take()
    assert buffer.seconds_left() == 10


def test_a_gap_in_the_tags_is_refused_because_a_prefix_could_not_be_acknowledged() -> None:
    lease = RememberingLease()
    buffer = Buffer(LIMITS, Clock())
    buffer.add(deliveries(lease, 1, [b"x"]))
    with pytest.raises(TagGap, match="expected delivery tag 2, got 3"):
        buffer.add(deliveries(lease, 3, [b"x"]))
    assert len(buffer) == 1


def test_a_new_lease_drops_what_the_old_one_left() -> None:
    old, new = RememberingLease(), RememberingLease()
    buffer = Buffer(LIMITS, Clock())
    buffer.add(deliveries(old, 7, [b"old"]))
    buffer.add(deliveries(new, 1, [b"new"]))
    batch = buffer.take()
    assert (batch.lease, batch.bodies, batch.last_tag) == (new, (b"new",), 1)


@given(
    reads=st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=12), min_size=1, max_size=8),
    take_after=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_batches_hold_every_message_once_in_order_within_the_limits_and_tagged_with_its_last(
    reads: list[list[bytes]], take_after: list[bool]
) -> None:
    lease, buffer = RememberingLease(), Buffer(LIMITS, Clock())
    sent: list[bytes] = []
    taken: list[bytes] = []

    def take() -> None:
        batch = buffer.take()
        taken.extend(batch.bodies)
        assert batch.last_tag == len(taken)
        assert len(batch.bodies) <= LIMITS.rows
        assert sum(map(len, batch.bodies)) <= LIMITS.bytes or len(batch.bodies) == 1

    for read, also_take in zip(reads, take_after, strict=False):
        buffer.add(deliveries(lease, len(sent) + 1, read))
        sent.extend(read)
        if also_take:
            take()
    while len(buffer):
        take()
    assert taken == sent
