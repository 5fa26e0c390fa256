"""A spool that cannot be used any more: events still go to a broker that is there, and to the disk when it is back."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest_service.publisher import EventPublisher
from tests.ingest_service.publisher.conftest import Broker, Proxied, until
from tests.ingest_service.publisher.emitting import NOWHERE, always_adding_up, emit, numbers, segments


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk. This user may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> None:
    """Take all the room there is."""
    with (disk / "other").open("wb", buffering=0) as other, suppress(OSError):
        while True:
            other.write(bytes(4_096))


async def test_events_that_overflow_memory_go_to_the_broker_when_the_spool_is_gone(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    async with (
        EventPublisher(broker.url, spool, memory_events=50, max_wait_seconds=10) as publisher,
        always_adding_up(publisher.counters),
    ):
        await emit(publisher, 0, 1)
        await until(lambda: publisher.counters.sent == 1)
        shutil.rmtree(spool)
        await emit(publisher, 1, 400)
        await until(lambda: publisher.counters.sent == 400)
    assert publisher.counters.dropped == 0
    assert sorted(numbers(await broker.events("order_log"))) == list(range(400))
    assert [each.levelname for each in caplog.records if "the spool cannot be written" in each.message] == ["ERROR"]


async def test_events_of_an_outage_without_a_disk_wait_in_memory_for_the_broker(
    broker: Broker, proxy: Proxied, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    async with EventPublisher(proxy.url, spool) as publisher, always_adding_up(publisher.counters):
        shutil.rmtree(spool)
        await emit(publisher, 0, 50)
        await until(lambda: publisher._sender.away)
        await emit(publisher, 50, 100)
        await until(lambda: "the spool cannot be written" in caplog.text)
        proxy.open()
        await until(lambda: publisher.counters.sent == 100)
    assert publisher.counters.spooled == 0
    assert sorted(numbers(await broker.events("order_log"))) == list(range(100))


async def test_events_that_wait_for_the_disk_are_spooled_when_it_is_back(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    async with EventPublisher(NOWHERE, spool, exit_seconds=0) as publisher, always_adding_up(publisher.counters):
        shutil.rmtree(spool)
        await emit(publisher, 0, 100)
        await until(lambda: publisher._spooling is not None and publisher._spooling.stuck)
        assert publisher.counters.in_memory == 100
        spool.mkdir()
        await until(lambda: publisher.counters.in_spool == 100)


async def test_a_full_disk_loses_nothing_while_the_broker_is_there(broker: Broker, small_disk: Path) -> None:
    async with (
        EventPublisher(broker.url, small_disk / "spool", memory_events=50, max_wait_seconds=10) as publisher,
        always_adding_up(publisher.counters),
    ):
        await emit(publisher, 0, 1)
        fill(small_disk)
        await emit(publisher, 1, 400)
        await until(lambda: publisher.counters.sent == 400)
    assert publisher.counters.dropped == 0
    assert sorted(numbers(await broker.events("order_log"))) == list(range(400))


async def test_what_a_full_disk_has_taken_and_what_it_has_not_adds_up(broker: Broker, small_disk: Path) -> None:
    spool = small_disk / "spool"
    async with (
        EventPublisher(NOWHERE, spool, memory_events=500, max_wait_seconds=0, exit_seconds=0) as first,
        always_adding_up(first.counters),
    ):
        for start in range(0, 5_000, 100):
            await emit(first, start, start + 100)
            await until(lambda: first.counters.in_memory < 400 or first._spooling is None or first._spooling.stuck)
    assert first.counters.in_spool > 0
    assert first.counters.dropped > 0
    async with EventPublisher(broker.url, spool) as second:
        assert second.counters.recovered == first.counters.in_spool
        await until(lambda: second.counters.sent == first.counters.in_spool)
    assert len(set(numbers(await broker.events("order_log")))) == first.counters.in_spool


async def test_a_segment_that_cannot_be_read_is_said_and_holds_up_nothing(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventPublisher(NOWHERE, tmp_path, segment_bytes=1, exit_seconds=0) as first:
        for number in range(3):
            await emit(first, number, number + 1)
            await until(lambda count=number: first.counters.in_spool == count + 1)  # type: ignore[misc]
    bad = min(segments(tmp_path))
    away = bad.rename(tmp_path / "away")
    bad.mkdir()
    async with EventPublisher(broker.url, tmp_path) as publisher, always_adding_up(publisher.counters):
        await emit(publisher, 3, 5)
        await until(lambda: publisher.counters.sent == 4)
        assert f"{bad} cannot be read now, its events wait" in caplog.text
        bad.rmdir()
        away.rename(bad)
        await until(lambda: publisher.counters.sent == 5)
    assert set(numbers(await broker.events("order_log"))) == set(range(5))
    assert not segments(tmp_path)
