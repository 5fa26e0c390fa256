"""Whatever ClickHouse answers: every message of a batch is settled once, and only then acknowledged.

ClickHouse is played here, for what it answers is the input; test_service, test_fuzz and chaos have the real one.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.backoff import Backoff
from ingest_service.broker.lease import LeaseLost
from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.inserts import NO_SETTINGS
from ingest_service.dead_letters.queue import DeadLetterQueue
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds
from ingest_service.observability.health import Health, State, TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.pipeline.buffer import Batch
from ingest_service.pipeline.retries import HeldTooLong
from ingest_service.pipeline.sinker import Sinker, SinkerSettings
from tests.harness.leases import RememberingLease

TYPE = EVENT_TYPES["order_log"]
PARTITIONS = 3
"""How many days one insert may span here."""

MOODS = [
    InsertFailed(None, "connection refused"),
    InsertFailed(159, "Timeout exceeded"),
    InsertFailed(241, "Memory limit exceeded"),
    InsertFailed(252, "Too many parts (300)"),
    InsertFailed(60, "Table does not exist"),
    InsertFailed(424242, "never seen"),
]


def order(number: int, day: int = 1) -> bytes:
    return json.dumps(
        {
            "event_id": f"00000000-0000-4000-8000-{number:012d}",
            "source": "s",
            "platform": "P",
            "platform_order_id": str(number),
            "store": "one",
            "event_timestamp": f"2026-01-{day:02} 09:30:00",
        }
    ).encode()


class View:
    """A view on the table that fails for some rows until it is mended, after some failures."""

    def __init__(self, fails_for: set[bytes], failures: int, *, named: bool) -> None:
        self.fails_for = fails_for
        self.failures = failures
        self._said = f"Cannot parse 'x'{': while pushing to view _e.bad' if named else ''}. (CANNOT_PARSE_TEXT)"

    def push(self, lines: Sequence[bytes]) -> None:
        if self.failures and not self.fails_for.isdisjoint(lines):
            self.failures -= 1
            raise InsertFailed(6, self._said)


NO_VIEW = View(set(), 0, named=True)


class PlayedClickHouse(ClickHouse):
    """A table that refuses some rows, hints at one of them at its mood, and fails now and then, landed or not."""

    def __init__(
        self,
        refused: set[bytes],
        moods: Sequence[tuple[InsertFailed, bool] | None],
        hint: int | None,
        view: View = NO_VIEW,
    ) -> None:
        super().__init__("http://played", 1)
        self._refused = refused
        self._moods = list(moods)
        self._hint = hint
        self._view = view
        self.by_token: dict[str, Sequence[bytes]] = {}
        self.rows: list[bytes] = []
        self.inserts = 0

    async def insert(
        self,
        table: str,
        rows: Sequence[bytes],
        token: str,
        comment: Mapping[str, str | int],
        columns: Sequence[str] | None = None,
        settings: Mapping[str, str | int] = NO_SETTINGS,
    ) -> None:
        self.inserts += 1
        assert table == TYPE.table
        assert self.by_token.setdefault(token, rows) == rows, "one token, two different inserts"
        mood = self._moods.pop() if self._moods else None
        if mood is None or mood[1]:
            self._take(rows)
            if not settings.get("materialized_views_ignore_errors"):
                self._view.push(rows)
        if mood is not None:
            raise mood[0]

    def _take(self, lines: Sequence[bytes]) -> None:
        if len({json.loads(line)["event_timestamp"] for line in lines}) > PARTITIONS:
            raise InsertFailed(252, "Too many partitions for single INSERT block (more than 3)")
        bad = [number for number, line in enumerate(lines, start=1) if line in self._refused]
        if bad:
            at = bad[0] if self._hint == 0 else self._hint
            raise InsertFailed(117, "Cannot parse" + (f": (at row {at})" if at is not None else ""))
        self.rows += [line for line in lines if line not in self.rows]  # the token, or event_id, does that


class Letters:
    """An error queue that at first confirms only some."""

    def __init__(self, failures: int = 0) -> None:
        self.confirmed: list[Message] = []
        self._failures = failures

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.confirmed]

    async def send(self, messages: Sequence[Message]) -> PublishResult:
        assert messages
        known = {message.headers["x-gcc-letter-id"] for message in self.confirmed}
        assert known.isdisjoint(message.headers["x-gcc-letter-id"] for message in messages), "confirmed, and sent again"
        bad = [Outcome.REFUSED, Outcome.UNKNOWN] if self._failures else []
        self._failures = max(0, self._failures - 1)
        outcomes = [[Outcome.CONFIRMED, *bad][at % (1 + len(bad))] for at in range(len(messages))]
        self.confirmed += [m for m, own in zip(messages, outcomes, strict=True) if own is Outcome.CONFIRMED]
        return PublishResult(outcomes, "not yet")


def sinker(
    clickhouse: ClickHouse, letters: Letters, health: TypeHealth, hold_seconds: float = 60, dead_share: float = 1.0
) -> Sinker:
    terms = SinkerSettings(Bounds(), hold_seconds, dead_share)
    backoff = Backoff(1e-6, 1e-5)
    return Sinker(
        TYPE, clickhouse, DeadLetterQueue(TYPE, letters), backoff, terms, health, Metrics(Health()), time.monotonic
    )


def batch(bodies: Sequence[bytes]) -> tuple[Batch, RememberingLease]:
    lease, now = RememberingLease(), time.monotonic()
    return Batch(lease, len(bodies), tuple(bodies), now, now), lease


kinds = st.sampled_from(["good", "good", "good", "refused", "not JSON", "fails the view"])


@settings(max_examples=150)
@given(
    messages=st.lists(st.tuples(kinds, st.integers(1, 12)), min_size=1, max_size=40),
    moods=st.lists(st.none() | st.tuples(st.sampled_from(MOODS), st.booleans()), max_size=12),
    hint=st.none() | st.integers(0, 50),
    unconfirmed=st.integers(0, 3),
    failures=st.integers(0, 5),
    named=st.booleans(),
)
def test_good_rows_land_and_bad_ones_are_dead_lettered_once_whatever_fails_meanwhile(
    messages: list[tuple[str, int]],
    moods: list[tuple[InsertFailed, bool] | None],
    hint: int | None,
    unconfirmed: int,
    failures: int,
    named: bool,
) -> None:
    bodies = [order(n, day) if kind != "not JSON" else b"{%d" % n for n, (kind, day) in enumerate(messages)]
    refused = {body for body, (kind, _) in zip(bodies, messages, strict=True) if kind == "refused"}
    failing = {body for body, (kind, _) in zip(bodies, messages, strict=True) if kind == "fails the view"}
    good = [body for body, (kind, _) in zip(bodies, messages, strict=True) if kind in ("good", "fails the view")]
    clickhouse = PlayedClickHouse(refused, moods, hint, View(failing, failures, named=named))
    letters, health = Letters(unconfirmed), TypeHealth("order_log")
    frozen, lease = batch(bodies)

    settled = asyncio.run(sinker(clickhouse, letters, health).settle(frozen))

    assert sorted(clickhouse.rows) == sorted(good)
    assert sorted(letters.bodies) == sorted(set(bodies) - set(good))
    assert len({message.headers["x-gcc-letter-id"] for message in letters.confirmed}) == len(letters.confirmed)
    assert settled.batch is frozen
    assert len(settled.letters) == len(bodies) - len(good)
    assert lease.acknowledged == []
    assert health.state is State.RUNNING


def test_nothing_is_acknowledged_for_a_channel_that_is_gone() -> None:
    frozen, lease = batch([order(1)])

    class Vanishing(PlayedClickHouse):
        async def insert(self, *arguments: Any, **options: Any) -> None:
            lease.die()
            await super().insert(*arguments, **options)

    clickhouse = Vanishing(set(), [(InsertFailed(60, "no table"), False)], None)
    with pytest.raises(LeaseLost):
        asyncio.run(sinker(clickhouse, Letters(), TypeHealth("order_log")).settle(frozen))
    assert lease.acknowledged == []


def test_a_batch_that_cannot_land_is_given_back_in_time() -> None:
    clickhouse = PlayedClickHouse(set(), [(InsertFailed(None, "away"), False)] * 10_000, None)
    frozen, lease = batch([order(1)])
    with pytest.raises(HeldTooLong):
        asyncio.run(sinker(clickhouse, Letters(), TypeHealth("order_log"), hold_seconds=0.05).settle(frozen))
    assert lease.acknowledged == []


def test_a_batch_of_which_the_table_refuses_every_row_halts_before_it_costs_an_insert_for_each() -> None:
    bodies = [order(number) for number in range(2_000)]
    clickhouse = PlayedClickHouse(set(bodies), [], 0)
    frozen, lease = batch(bodies)

    class EndsWhenHalted(TypeHealth):
        def halted(self, why: str) -> None:
            super().halted(why)
            lease.die()

    health = EndsWhenHalted("order_log")
    with pytest.raises(LeaseLost):
        asyncio.run(sinker(clickhouse, Letters(), health, dead_share=0.5).settle(frozen))
    assert "its table refuses 101 of 101 messages" in health.why
    assert clickhouse.inserts < 450


def test_a_batch_full_of_what_its_table_reads_more_strictly_costs_one_failed_insert() -> None:
    strict = [order(number).replace(b" 09:30:00", b"t09:30:00z") for number in range(900)]
    good = [order(number) for number in range(900, 1_000)]
    clickhouse, letters = PlayedClickHouse(set(strict), [], None), Letters()
    asyncio.run(sinker(clickhouse, letters, TypeHealth("order_log")).settle(batch([*strict, *good])[0]))
    assert clickhouse.rows == good
    assert letters.bodies == strict
    assert clickhouse.inserts == 2


def test_a_batch_that_is_taken_apart_is_given_back_in_time() -> None:
    bodies = [order(number) for number in range(500)]
    frozen, lease = batch(bodies)
    clickhouse = PlayedClickHouse(set(bodies), [], 0)
    with pytest.raises(HeldTooLong):
        asyncio.run(sinker(clickhouse, Letters(), TypeHealth("order_log"), hold_seconds=0.01).settle(frozen))
    assert lease.acknowledged == []


def test_an_unknown_error_is_retried_before_it_halts() -> None:
    states: list[State] = []

    class Watched(TypeHealth):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "state":
                states.append(value)

    clickhouse = PlayedClickHouse(set(), [(InsertFailed(424242, "?"), False)] * 7, None)
    asyncio.run(sinker(clickhouse, Letters(), Watched("order_log")).settle(batch([order(1)])[0]))
    assert states[1:] == [State.RETRYING] * 5 + [State.HALTED] * 2 + [State.RUNNING]
