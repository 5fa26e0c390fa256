"""A crawler killed by SIGKILL while it spools, and again while the spool is being sent."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from ingest_service.publisher import EventPublisher
from tests.ingest_service.publisher.conftest import Broker, Proxied, until

CRAWLER = "tests.ingest_service.publisher.crawl"


async def killed_when(reached: Callable[[int, int], bool], url: str, spool: Path, events: int) -> tuple[int, int]:
    """Run a crawler until its counters satisfy `reached`, kill it, and return its last (spooled, sent)."""
    crawler = await asyncio.create_subprocess_exec(
        sys.executable, "-m", CRAWLER, url, str(spool), str(events), stdout=asyncio.subprocess.PIPE
    )
    assert crawler.stdout is not None
    counters = (0, 0)
    try:
        async with asyncio.timeout(30):
            while not reached(*counters):
                line = await crawler.stdout.readline()
                assert line.endswith(b"\n"), "the crawler exited by itself"
                spooled, sent = map(int, line.split())
                counters = (spooled, sent)
    finally:
        crawler.kill()
        await crawler.wait()
    return counters


async def test_every_event_that_was_spooled_arrives_though_the_crawler_is_killed_again_and_again(
    broker: Broker, proxy: Proxied, tmp_path: Path
) -> None:
    spooled, _ = await killed_when(lambda spooled, _: spooled >= 1_000, proxy.url, tmp_path, 1_000_000)
    proxy.open()
    _, sent = await killed_when(lambda _, sent: sent >= 200, proxy.url, tmp_path, 0)
    assert sent >= 200
    async with EventPublisher(broker.url, tmp_path) as publisher:
        assert publisher.counters.recovered > 0
        await until(lambda: publisher.counters.sent == publisher.counters.recovered)
    arrived = {each["event_id"] for each in await broker.events("order_log")}
    assert {str(UUID(int=number)) for number in range(spooled)} <= arrived
