"""Events of threads and of synchronous code within an event loop reach its publisher."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest_service.publisher import EventPublisher
from ingest_service.publisher.hand_over import HandOver
from ingest_service.publisher.thread_publisher import ThreadPublisher
from tests.ingest_service.publisher.conftest import Broker, until

EVENT = {"source": "s", "platform": "p", "profile_id": "1"}
NOWHERE = "amqp://127.0.0.1:1/"


async def test_what_is_emitted_right_before_the_publishers_end_is_sent(broker: Broker) -> None:
    async with EventPublisher(broker.url) as publisher:
        hand_over = HandOver(publisher)
        for _ in range(10):
            hand_over.emit("profile_log", EVENT)
    assert (publisher.counters.sent, hand_over.dropped) == (10, 0)


async def test_what_threads_emit_reaches_the_publisher_of_the_loop(broker: Broker) -> None:
    def crawl(hand_over: HandOver) -> None:
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda _: hand_over.emit("profile_log", EVENT), range(500)))

    async with EventPublisher(broker.url) as publisher:
        hand_over = HandOver(publisher)
        await asyncio.to_thread(crawl, hand_over)
    assert (publisher.counters.sent, hand_over.dropped) == (500, 0)


async def test_a_commit_of_more_rows_than_the_publisher_has_room_for_waits_for_room(broker: Broker) -> None:
    async with EventPublisher(broker.url, memory_events=100, max_wait_seconds=30) as publisher:
        hand_over = HandOver(publisher)
        for _ in range(1_000):
            hand_over.emit("profile_log", EVENT)
        await until(lambda: publisher.counters.sent == 1_000, seconds=60)
    assert (publisher.counters.dropped, hand_over.dropped) == (0, 0)


async def test_what_waits_is_bounded_and_what_is_dropped_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with EventPublisher(NOWHERE, memory_events=1, max_wait_seconds=0.01, exit_seconds=0) as publisher:
        hand_over = HandOver(publisher, most_waiting=2)
        for _ in range(5):
            hand_over.emit("profile_log", EVENT)
        assert (publisher.counters.accepted, hand_over.dropped) == (1, 2)
        await until(lambda: publisher.counters.dropped == 2)
    assert "dropped an event of type profile_log before the publisher: too many events wait" in caplog.text


def test_after_the_loops_end_events_are_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPublisher(NOWHERE, exit_seconds=0) as publisher:
        pass
    publisher.emit("profile_log", EVENT)
    assert publisher.dropped == 1
    assert "before the publisher: its event loop is closed" in caplog.text


def test_an_invalid_event_is_refused_in_the_publishers_thread(caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPublisher(NOWHERE, exit_seconds=0) as publisher:
        publisher.emit("profile_log", {"platform": 5})
    assert publisher.counters.refused == 1
    assert publisher.dropped == 0


def test_a_thread_publisher_refuses_an_invalid_url_before_it_is_entered() -> None:
    with pytest.raises(ValueError, match="the broker's URL"):
        ThreadPublisher("http://127.0.0.1/")
