"""EventPublisher against the real broker, with outages."""

import asyncio
import logging
import os
import re
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from ingest_service.broker.connection import connected
from ingest_service.events.contract import EXCHANGE
from ingest_service.publisher import Counters, EventPublisher, SpoolInUse, sender
from ingest_service.publisher.segment import TAIL_BYTES
from tests.ingest_service.publisher.conftest import Alarm, Broker, Proxied, until
from tests.ingest_service.publisher.emitting import NOWHERE, adds_up, always_adding_up, emit, numbers, segments

README = (Path(__file__).parents[3] / "README.md").read_text()


def kept_aside(spool: Path) -> bytes:
    (damaged,) = spool.glob("*.damaged")
    return damaged.read_bytes()


async def test_every_event_arrives_once_in_order_and_is_confirmed(broker: Broker) -> None:
    async with EventPublisher(broker.url) as publisher, always_adding_up(publisher.counters):
        await emit(publisher, 0, 1_000)
    assert publisher.counters == Counters(accepted=1_000, sent=1_000)
    assert numbers(await broker.events("order_log")) == list(range(1_000))


async def test_what_is_refused_does_not_raise_and_is_said_without_the_payload(caplog: pytest.LogCaptureFixture) -> None:
    async with EventPublisher(NOWHERE, exit_seconds=0) as publisher:
        await publisher.emit("order_log", {"store": "private"})
        await publisher.emit("story_log", {"store": "private"})
        await publisher.emit(["order_log"], 3)  # type: ignore[arg-type]
    assert publisher.counters == Counters(refused=3)
    assert "refused an event of type order_log: invalid_field: Object missing required field" in caplog.text
    assert "there is no event type 'story_log'" in caplog.text
    assert "private" not in caplog.text


async def test_events_of_an_outage_are_sent_oldest_first_and_before_newer_ones(
    broker: Broker, proxy: Proxied, tmp_path: Path
) -> None:
    async with (
        EventPublisher(proxy.url, tmp_path, segment_bytes=2_000, in_flight=7) as publisher,
        always_adding_up(publisher.counters),
    ):
        await emit(publisher, 0, 100)
        await until(lambda: publisher.counters.in_spool == 100)
        await emit(publisher, 100, 200)
        await until(lambda: publisher.counters.in_spool == 200)
        proxy.open()
        await until(lambda: publisher.counters.sent)
        await emit(publisher, 200, 300)
        await until(lambda: publisher.counters.sent == 300)
    assert numbers(await broker.events("order_log")) == list(range(300))
    assert not segments(tmp_path)


@pytest.mark.parametrize("spooling", [True, False])
async def test_nothing_is_lost_when_the_connection_is_cut_again_and_again(
    broker: Broker, proxy: Proxied, tmp_path: Path, spooling: bool
) -> None:
    proxy.open()
    async with EventPublisher(proxy.url, tmp_path if spooling else None, in_flight=50) as publisher:
        for round_ in range(3):
            sent = publisher.counters.sent
            await emit(publisher, round_ * 300, round_ * 300 + 280)
            await until(lambda before=sent: publisher.counters.sent > before)  # type: ignore[misc]
            proxy.close()
            await emit(publisher, round_ * 300 + 280, round_ * 300 + 300)
            proxy.open()
        await until(lambda: publisher.counters.sent == 900)
    events = await broker.events("order_log")
    assert set(numbers(events)) == set(range(900))
    assert len({each["event_id"] for each in events}) == 900
    assert publisher.counters.dropped == 0


async def test_emit_waits_no_longer_than_its_bound_and_what_finds_no_room_is_counted_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with EventPublisher(NOWHERE, memory_events=5, max_wait_seconds=0.02, exit_seconds=0) as publisher:
        await emit(publisher, 0, 5)
        start = time.monotonic()
        await asyncio.gather(*(emit(publisher, number, number + 1) for number in range(20)))
        assert 0.02 <= time.monotonic() - start < 1  # all of them wait at the same time, on a busy machine
        assert (publisher.counters.in_memory, publisher.counters.dropped) == (5, 20)
        assert adds_up(publisher.counters)
    assert publisher.counters == Counters(accepted=25, dropped=25)
    assert caplog.text.count("dropped an event of type order_log: no room") == 1
    assert "dropped 5 events: not confirmed within 0 s, and no spool" in caplog.text


async def test_an_event_waits_for_room_that_is_made_in_time(broker: Broker) -> None:
    async with EventPublisher(broker.url, memory_events=5, max_wait_seconds=10) as publisher:
        await emit(publisher, 0, 100)
    assert publisher.counters == Counters(accepted=100, sent=100)


async def test_what_overflows_memory_goes_to_the_spool_and_arrives(broker: Broker, tmp_path: Path) -> None:
    async with (
        EventPublisher(broker.url, tmp_path, memory_events=50, max_wait_seconds=5) as publisher,
        always_adding_up(publisher.counters),
    ):
        await emit(publisher, 0, 400)
        await until(lambda: publisher.counters.sent == 400)
        assert publisher.counters.spooled
    assert sorted(numbers(await broker.events("order_log"))) == list(range(400))


async def test_what_a_full_spool_cannot_take_is_dropped_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        EventPublisher(
            NOWHERE, tmp_path, spool_bytes=5_000, memory_events=20, max_wait_seconds=0, exit_seconds=0
        ) as full,
        always_adding_up(full.counters),
    ):
        for number in range(200):
            await emit(full, number, number + 1)
            await until(lambda: full.counters.in_memory < 20 or (full._spooling and full._spooling.stuck))
    assert full.counters.in_spool + full.counters.dropped == 200
    assert full.counters.in_memory == 0
    assert full.counters.dropped > 100
    assert "the spool is full" in caplog.text
    assert "dropped an event of type order_log: no room" in caplog.text
    assert "neither the broker nor the spool took them" in caplog.text
    assert "s3cret" not in caplog.text


async def test_leaving_puts_what_is_not_confirmed_into_the_spool_and_the_next_publisher_sends_it(
    broker: Broker, tmp_path: Path
) -> None:
    async with EventPublisher(NOWHERE, tmp_path, exit_seconds=0) as first:
        await emit(first, 0, 50)
    assert (first.counters.in_spool, first.counters.in_memory) == (50, 0)
    async with EventPublisher(broker.url, tmp_path) as second:
        assert second.counters.recovered == second.counters.accepted == 50
        await until(lambda: second.counters.sent == 50)
    assert numbers(await broker.events("order_log")) == list(range(50))


async def test_abandoning_without_a_loop_puts_what_is_in_memory_into_the_spool(broker: Broker, tmp_path: Path) -> None:
    first = await EventPublisher(NOWHERE, tmp_path).__aenter__()
    await emit(first, 0, 50)
    first.abandon()
    assert first.counters == Counters(accepted=50, in_spool=50, spooled=50)
    async with EventPublisher(broker.url, tmp_path) as second:
        await until(lambda: second.counters.sent == second.counters.recovered >= 50)
    assert set(numbers(await broker.events("order_log"))) == set(range(50))


async def test_abandoning_without_a_spool_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    publisher = await EventPublisher(NOWHERE).__aenter__()
    await emit(publisher, 0, 5)
    publisher.abandon()
    assert publisher.counters == Counters(accepted=5, dropped=5)
    assert "dropped 5 events: the event loop ended" in caplog.text


async def test_a_spool_is_for_one_publisher_and_the_second_is_told_on_entering(tmp_path: Path) -> None:
    async with EventPublisher(NOWHERE, tmp_path):
        with pytest.raises(SpoolInUse, match="give every process one of its own"):
            await EventPublisher(NOWHERE, tmp_path).__aenter__()


async def test_a_torn_tail_is_reported_on_entering(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with EventPublisher(NOWHERE, tmp_path, exit_seconds=0) as publisher:
        await emit(publisher, 0, 3)
    (segment,) = segments(tmp_path)
    torn = segment.rename(tmp_path / "00000000000000000001.spool")  # as if it had not been sealed
    os.truncate(torn, torn.stat().st_size - TAIL_BYTES - 5)
    async with EventPublisher(NOWHERE, tmp_path) as again:
        assert again.counters.recovered == 0
    assert f"{torn} ends with" in caplog.text


async def test_of_a_damaged_spool_file_the_rest_is_sent_the_lost_are_counted_and_the_file_is_kept(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventPublisher(NOWHERE, tmp_path, exit_seconds=0) as first:
        await emit(first, 0, 1_000)
    (segment,) = segments(tmp_path)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    async with EventPublisher(broker.url, tmp_path) as publisher, always_adding_up(publisher.counters):
        assert publisher.counters.recovered == 1_000
        await until(lambda: not publisher.counters.in_spool)
    arrived = numbers(await broker.events("order_log"))
    lost = publisher.counters.dropped
    assert 0 < lost < 500
    assert publisher.counters.sent == len(arrived) == 1_000 - lost
    assert arrived == sorted(set(arrived))
    assert kept_aside(tmp_path) == bytes(content)
    assert caplog.text.count(f"{segment} is damaged: {lost} of its events cannot be read and are dropped") == 1


async def test_a_slow_disk_does_not_hold_up_the_crawler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.5)
        sync(descriptor)

    async with EventPublisher(NOWHERE, tmp_path, exit_seconds=5) as publisher:
        monkeypatch.setattr(os, "fsync", slow)
        await emit(publisher, 0, 1)
        await until(lambda: publisher.counters.in_spool)
        start = time.monotonic()
        await emit(publisher, 1, 50)
        assert time.monotonic() - start < 0.45
        assert publisher.counters.in_memory
    assert publisher.counters.in_spool == 50


async def test_events_outside_of_the_block_are_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    publisher = EventPublisher(NOWHERE, exit_seconds=0)
    await emit(publisher, 0, 1)
    async with publisher:
        pass
    await emit(publisher, 0, 1)
    assert publisher.counters == Counters(accepted=2, dropped=2)
    assert "the publisher is not entered, or left" in caplog.text


@pytest.mark.parametrize("spooling", [True, False])
async def test_nacked_events_are_sent_again_and_do_not_stop_other_types(
    broker: Broker, tmp_path: Path, spooling: bool
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    async with connected(broker.url, "tests") as connection, connection.channel() as channel:
        # Bound beside the real queue: when it is full, the broker nacks.
        queue = await channel.declare_queue("full_q", arguments=full)
        await queue.bind(EXCHANGE, "order_log_events")
        async with (
            EventPublisher(broker.url, tmp_path if spooling else None, in_flight=5) as publisher,
            always_adding_up(publisher.counters),
        ):
            await emit(publisher, 0, 20)
            await until(lambda: publisher.counters.sent)
            taken = publisher.counters.sent
            for number in range(10):
                await publisher.emit("profile_log", {"source": "s", "platform": "p", "profile_id": str(number)})
            await until(lambda: publisher.counters.sent >= taken + 10)
            assert publisher.counters.sent < 30
            await queue.delete(if_empty=False)
            await until(lambda: publisher.counters.sent == 30)
    assert set(numbers(await broker.events("order_log"))) == set(range(20))
    assert len(await broker.events("profile_log")) == 10


async def test_returned_events_are_sent_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(broker.url, "tests") as connection, connection.channel() as channel:
        exchange = await channel.declare_exchange("unbound.dx", auto_delete=True)
        monkeypatch.setattr(sender, "EXCHANGE", "unbound.dx")
        async with EventPublisher(broker.url) as publisher:
            await emit(publisher, 0, 5)
            await until(lambda: "returned, 312 NO_ROUTE" in caplog.text)
            assert publisher.counters == Counters(accepted=5, in_memory=5)
            queue = await channel.get_queue("order_log_events_q")
            await queue.bind(exchange, "order_log_events")
            await until(lambda: publisher.counters.sent == 5)
        await queue.unbind(exchange, "order_log_events")
    assert sorted(numbers(await broker.events("order_log"))) == list(range(5))


async def test_a_missing_exchange_is_named_and_waited_for(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sender, "EXCHANGE", "missing.dx")
        publisher = await EventPublisher(broker.url).__aenter__()
        await emit(publisher, 0, 5)
        await until(lambda: "no exchange 'missing.dx' in vhost '/'. gcc-ingest init creates it" in caplog.text)
    await until(lambda: publisher.counters.sent == 5)
    await publisher.__aexit__(None, None, None)
    assert sorted(numbers(await broker.events("order_log"))) == list(range(5))


async def test_an_event_without_an_answer_counts_as_not_sent(
    broker: Broker, proxy: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.open()
    async with EventPublisher(proxy.url, confirm_seconds=0.2) as publisher, always_adding_up(publisher.counters):
        await emit(publisher, 0, 1)
        await until(lambda: publisher.counters.sent == 1)
        proxy.stall()
        await emit(publisher, 1, 3)
        await until(lambda: "the broker did not confirm within 0.2 s" in caplog.text)
        assert (publisher.counters.sent, publisher.counters.in_memory) == (1, 2)
        proxy.close()
        proxy.resume()
        proxy.open()
        await until(lambda: publisher.counters.sent == 3)
    assert set(numbers(await broker.events("order_log"))) == {0, 1, 2}


async def test_a_broker_that_takes_nothing_is_said_and_events_wait_until_it_does(
    broker: Broker, tmp_path: Path, alarm: Alarm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ingest_service")
    async with (
        EventPublisher(broker.url, tmp_path, confirm_seconds=0.5) as spooling,
        EventPublisher(broker.url, confirm_seconds=0.5) as waiting,
        always_adding_up(spooling.counters),
        always_adding_up(waiting.counters),
    ):
        await emit(spooling, 0, 1)
        await emit(waiting, 200, 201)
        await until(lambda: spooling.counters.sent == waiting.counters.sent == 1)
        async with alarm():
            await emit(spooling, 1, 100)
            await emit(waiting, 201, 300)
            for place in ("the spool", "memory"):
                await until(lambda it=place: f"takes nothing (low on memory): events wait in {it}" in caplog.text)  # type: ignore[misc]
            await emit(spooling, 100, 200)
            await emit(waiting, 300, 400)
            await until(lambda: spooling.counters.in_memory == 0)
            assert spooling.counters.in_spool > 100
            assert waiting.counters.in_memory > 100
        await until(lambda: spooling.counters.sent == waiting.counters.sent == 200)
    assert "the broker takes events again" in caplog.text
    assert set(numbers(await broker.events("order_log"))) == set(range(400))


async def test_a_cut_connection_holds_nothing_up_for_two_seconds_and_loses_nothing_a_hundred_times(
    broker: Broker, proxy: Proxied, tmp_path: Path
) -> None:
    proxy.open()
    longest = 0.0
    async with (
        EventPublisher(proxy.url, tmp_path, in_flight=50, max_wait_seconds=10) as spooling,
        EventPublisher(proxy.url, in_flight=50, max_wait_seconds=10) as waiting,
    ):
        emitted = 0
        for cut in range(100):
            for publisher in (spooling, waiting):
                await emit(publisher, emitted, emitted + 50 + cut)
            emitted += 50 + cut
            await asyncio.sleep(0.001 * (cut % 7))  # at another moment each time
            proxy.close()
            proxy.open()
            start = time.monotonic()
            for publisher in (spooling, waiting):
                sent = publisher.counters.sent
                await emit(publisher, emitted, emitted + 1)
                await until(lambda it=publisher, before=sent: it.counters.sent > before)  # type: ignore[misc]
            emitted += 1
            longest = max(longest, time.monotonic() - start)
        await until(lambda: spooling.counters.sent == waiting.counters.sent == emitted)
    assert longest < 2, f"the longest stand-still took {longest:.1f} s"
    assert spooling.counters.dropped == waiting.counters.dropped == 0
    arrived = await broker.events("order_log")
    assert set(numbers(arrived)) == set(range(emitted))
    assert len({each["event_id"] for each in arrived}) == 2 * emitted


@pytest.mark.parametrize("url", ["", "http://broker", "amqp://", "amqp://broker:port"])
def test_a_url_of_another_form_is_an_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(ValueError, match="not of the form amqp://user:password@host:port"):
        EventPublisher(url)


async def test_the_outage_is_said_once_and_without_the_password(
    proxy: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ingest_service")
    async with EventPublisher(proxy.url) as publisher:
        await emit(publisher, 0, 1)
        await until(lambda: "events wait in memory, the broker cannot be used" in caplog.text)
        proxy.open()
        await until(lambda: publisher.counters.sent == 1)
    assert "the broker is back" in caplog.text
    assert caplog.text.count("cannot be used") == 1


async def test_the_example_of_the_readme_publishes_its_event(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"## Publish from a crawler.*?```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.setenv("AMQP_URL", broker.url)
    names: dict[str, Any] = {}
    example = example.replace("/var/lib/crawler/spool", str(tmp_path))
    exec("async def crawl():\n" + textwrap.indent(example, "    "), names)
    await names["crawl"]()
    (event,) = await broker.events("profile_log")
    assert (event["handle"], event["metrics"]["followers"]) == ("creator", 1250)
