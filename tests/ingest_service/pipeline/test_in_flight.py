"""Batches settle in any order, and are handed over in the order in which they were started."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.broker.lease import LeaseLost
from ingest_service.pipeline.buffer import Batch
from ingest_service.pipeline.in_flight import InFlightBatches
from ingest_service.pipeline.sinker import Settled
from tests.harness.leases import RememberingLease


def settled(number: int) -> Settled:
    return Settled(Batch(RememberingLease(), number, (b"x",), 0.0, 0.0), [])


class Settling:
    """Batches that settle, or fail, when the test says so."""

    def __init__(self, count: int) -> None:
        self.woken = 0
        self.batches = InFlightBatches(count, self._wake)
        self.ends: list[asyncio.Future[Settled]] = [asyncio.get_running_loop().create_future() for _ in range(count)]
        for number, end in enumerate(self.ends):
            self.batches.start(self._settle(end), float(number))

    def _wake(self) -> None:
        self.woken += 1

    async def _settle(self, end: "asyncio.Future[Settled]") -> Settled:
        return await end

    async def finish(self, number: int) -> None:
        self.ends[number].set_result(settled(number))
        await turns()


async def turns() -> None:
    """Let tasks run that have been woken, and their callbacks."""
    for _ in range(3):
        await asyncio.sleep(0)


@given(order=st.permutations(range(5)))
def test_what_is_handed_over_is_always_the_longest_settled_prefix(order: list[int]) -> None:
    async def run() -> None:
        settling = Settling(len(order))
        done: set[int] = set()
        handed_over: list[int] = []
        for number in order:
            await settling.finish(number)
            done.add(number)
            handed_over += [each.batch.last_tag for each in settling.batches.settled()]
            prefix = next((at for at in range(len(order)) if at not in done), len(order))
            assert handed_over == list(range(prefix))
            assert len(settling.batches) == len(order) - prefix
            assert settling.batches.oldest() == (float(prefix) if prefix < len(order) else None)
        assert settling.woken == len(order)

    asyncio.run(run())


async def test_it_is_full_until_the_oldest_is_handed_over() -> None:
    settling = Settling(2)
    assert settling.batches.full
    await settling.finish(1)
    assert settling.batches.settled() == []
    assert settling.batches.full, "a later batch holds its place while an earlier one is unsettled"
    await settling.finish(0)
    assert len(settling.batches.settled()) == 2
    assert not settling.batches.full


async def test_a_later_batch_that_fails_is_raised_while_an_earlier_one_still_waits() -> None:
    settling = Settling(2)
    settling.ends[1].set_exception(LeaseLost())
    await turns()
    with pytest.raises(LeaseLost):
        settling.batches.settled()
    await settling.batches.abandon()


async def test_abandoned_batches_are_cancelled_and_have_ended() -> None:
    settling = Settling(3)
    settling.ends[2].set_exception(LeaseLost())
    await turns()
    await settling.batches.abandon()
    assert len(settling.batches) == 0
    assert [end.cancelled() for end in settling.ends] == [True, True, False]
