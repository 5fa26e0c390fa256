"""make_scrape_log_event in several threads and in forked processes."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingest_service.publisher import EventPublisher, dispatcher, make_scrape_log_event
from ingest_service.publisher.segment import read
from tests.ingest_service.publisher.conftest import Broker

FORKS = """
import asyncio, os, sys
from ingest_service.publisher import make_scrape_log_event

def log(number):
    return {"source": "s", "platform": "p", "profile_id": str(number)}

async def crawl(first, end):
    for number in range(first, end):
        await make_scrape_log_event("profile_log", log(number))

async def fork_within():
    await crawl(0, 100)
    for child in (2, 4):
        if os.fork() == 0:
            asyncio.run(crawl(child * 100, child * 100 + 50))
            sys.exit()  # with a regular interpreter shutdown
    for _ in range(2):
        os.wait()
    await crawl(100, 150)

asyncio.run(fork_within())
if os.fork() == 0:  # after the loop has ended
    asyncio.run(crawl(300, 350))
    sys.exit()
os.wait()
"""
FORKED = {*range(150), *range(200, 250), *range(300, 350), *range(400, 450)}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("closing", [True, False])
def test_threads_with_loops_of_their_own_share_nothing_and_leave_nothing_behind(
    declared: Broker, tmp_path: Path, closing: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(declared.empty())
    monkeypatch.setenv("AMQP_URL", declared.url)
    monkeypatch.setenv("GCC_SPOOL_DIR", str(tmp_path))
    threads_before, files_before = threading.active_count(), open_files()
    start = threading.Barrier(3)

    async def crawl(first: int) -> None:
        start.wait()
        for number in range(first, first + 60):
            await make_scrape_log_event("profile_log", {"source": "s", "platform": "p", "profile_id": str(number)})
            await asyncio.sleep(0.001)
        if closing:
            await dispatcher.close()

    threads = [threading.Thread(target=lambda first=first: asyncio.run(crawl(first))) for first in (0, 60, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatcher._publishers.abandon_all()  # as at process exit
    assert threading.active_count() == threads_before
    assert open_files() == files_before
    assert asyncio.run(arrived(declared, tmp_path, 180)) == list(range(180))
    assert "Traceback" not in caplog.text


def test_a_process_that_is_forked_publishes_its_own_events_and_leaves_its_parents_alone(
    declared: Broker, tmp_path: Path
) -> None:
    asyncio.run(declared.empty())
    for url in ("amqp://127.0.0.1:1/", declared.url):
        done = subprocess.run(
            [sys.executable, "-c", FORKS],
            env={"AMQP_URL": url, "GCC_SPOOL_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        for trouble in ("lost", "dropped", "Traceback"):
            assert trouble not in done.stderr
        if url != declared.url:
            assert spooled(tmp_path) == sorted(FORKED)  # once each: no child wrote its parent's events
    assert asyncio.run(arrived(declared, tmp_path, 2 * len(FORKED))) == sorted([*FORKED, *FORKED])


def spooled(folder: Path) -> list[int]:
    """The events in all spool files."""
    return sorted(
        int(json.loads(record.body)["profile_id"])
        for path in folder.glob("*/*.spool")
        for record in read(path.read_bytes()).records
    )


async def arrived(broker: Broker, spools: Path, count: int) -> list[int]:
    """Collect `count` distinct events; those in flight when a loop ended may arrive twice."""
    async with EventPublisher(broker.url, spools=spools, look_seconds=0.1) as publisher:
        found: dict[str, int] = {}
        async with asyncio.timeout(20):
            while len(found) < count or publisher.counters.in_spool:
                found |= {each["event_id"]: int(each["profile_id"]) for each in await broker.events("profile_log")}
                await asyncio.sleep(0.05)
        return sorted(found.values())
