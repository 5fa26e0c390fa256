"""make_scrape_log_event, called as Beat's crawlers call it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingest_service.publisher import EventPublisher, dispatcher, legacy_writes, make_scrape_log_event
from tests.ingest_service.publisher.conftest import Broker, until

METRICS = [{"key": "likes", "value": 5}]
DIMENSIONS = [{"key": "handle", "value": "creator"}, {"key": "taken_at_timestamp", "value": 1_768_469_400}]
COMMON = {"id": None, "source": "graphapi", "timestamp": "2026", "metrics": METRICS, "dimensions": DIMENSIONS}
NOWHERE = "amqp://127.0.0.1:1/"


def own_publisher() -> EventPublisher:
    """The publisher of the test's event loop."""
    publisher = dispatcher._publishers.of(asyncio.get_running_loop()).publisher
    assert publisher is not None
    return publisher


def spooled(folder: Path) -> list[Path]:
    return list(folder.glob("*/*.spool"))


async def emit_profiles(publisher: EventPublisher, first: int, end: int) -> None:
    for number in range(first, end):
        await publisher.emit("profile_log", {"source": "s", "platform": "p", "profile_id": str(number)})


@pytest.fixture
async def default(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """Set AMQP_URL and GCC_SPOOL_DIR; yields the spool folder."""
    monkeypatch.setenv("AMQP_URL", broker.url)
    monkeypatch.setenv("GCC_SPOOL_DIR", str(tmp_path))
    yield tmp_path
    await dispatcher.close()


@pytest.mark.parametrize(
    ("log_type", "log", "expected"),
    [
        (
            "post_log",
            {"platform": "INSTAGRAM", "profile_id": "7", "platform_post_id": "C1"},
            {"handle": "creator", "shortcode": "C1", "publish_time": "2026-01-15T09:30:00+00:00"},
        ),
        ("profile_log", {"platform": "YOUTUBE", "profile_id": "UC7"}, {"handle": "UC7", "metrics": {"likes": 5}}),
        (
            "yt_profile_relationship_logs",
            {"source_channel_id": "UC1", "target_channel_id": "UC2", "relationship_type": "subscription"},
            {"platform": "YOUTUBE", "source_profile_id": "UC1", "target_profile_id": "UC2"},
        ),
        (
            "order_log",
            {"platform": "SHOPIFY", "platform_order_id": "1", "dimensions": [SimpleNamespace(key="store", value="x")]},
            {"store": "x", "dimensions": {"store": "x"}},
        ),
        (
            "profile_relationship_log",
            {
                "platform": "INSTAGRAM",
                "source_profile_id": "1",
                "target_profile_id": "2",
                "relationship_type": "follower",
                "source_metrics": METRICS,
            },
            {"source_metrics": {"likes": 5}},
        ),
    ],
)
@pytest.mark.parametrize("as_mapping", [True, False])
async def test_a_log_of_beat_arrives_as_the_event_of_the_contract(
    broker: Broker, default: Path, log_type: str, log: dict[str, Any], expected: dict[str, Any], as_mapping: bool
) -> None:
    whole = {**COMMON, **log}
    await make_scrape_log_event(log_type, whole if as_mapping else SimpleNamespace(**whole))
    await dispatcher.close()
    (event,) = await broker.events(log_type.replace("logs", "log"))
    assert expected.items() <= event.items()
    assert "timestamp" not in event


async def test_a_dual_written_log_has_the_identity_and_the_time_of_its_row(
    broker: Broker, default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCC_LEGACY_ZONE", "Asia/Kolkata")
    event_id = "6ecd8c99-4036-403d-bf84-cf8400f67836"
    log = {**COMMON, "platform": "INSTAGRAM", "profile_id": "7", "timestamp": datetime(2026, 1, 2, 3, 4, 5, 6)}
    await make_scrape_log_event("profile_log", SimpleNamespace(**log, event_id=event_id))
    await make_scrape_log_event("profile_log", SimpleNamespace(**log))
    await dispatcher.close()
    (dual, other) = await broker.events("profile_log")
    assert (dual["event_id"], dual["event_timestamp"]) == (event_id, "2026-01-01T21:34:05.000006+00:00")
    assert other["event_timestamp"] > "2026-01-02T03:04:05"


async def test_an_unknown_zone_is_an_error_that_names_it_and_costs_only_dual_written_logs(
    broker: Broker, default: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GCC_LEGACY_ZONE", "Kolkata")
    log = {**COMMON, "platform": "INSTAGRAM", "profile_id": "7"}
    await make_scrape_log_event("profile_log", {**log, "event_id": "6ecd8c99-4036-403d-bf84-cf8400f67836"})
    await make_scrape_log_event("profile_log", log)
    await dispatcher.close()
    assert len(await broker.events("profile_log")) == 1
    assert "GCC_LEGACY_ZONE is 'Kolkata': set it to a time zone such as Asia/Kolkata" in caplog.text


async def test_an_unknown_mode_is_logged_with_the_known_ones_and_events_are_published(
    broker: Broker, default: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GCC_LEGACY_WRITES", "neither")
    legacy_writes.logged_mode.cache_clear()
    try:
        await make_scrape_log_event("profile_log", {**COMMON, "platform": "p", "profile_id": "1"})
    finally:
        legacy_writes.logged_mode.cache_clear()
    await dispatcher.close()
    assert len(await broker.events("profile_log")) == 1
    assert "GCC_LEGACY_WRITES is 'neither': set it to one of both, events, rows" in caplog.text


async def test_nothing_is_published_while_a_process_writes_rows_only(
    broker: Broker, default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCC_LEGACY_WRITES", "rows")
    legacy_writes.logged_mode.cache_clear()
    try:
        await make_scrape_log_event("profile_log", {**COMMON, "platform": "p", "profile_id": "1"})
    finally:
        legacy_writes.logged_mode.cache_clear()
    await dispatcher.close()
    assert await broker.events("profile_log") == []


async def test_processes_take_spools_of_their_own(default: Path) -> None:
    async with EventPublisher("amqp://127.0.0.1:1/", default / "0", exit_seconds=0):
        await make_scrape_log_event("profile_log", {"source": "s", "platform": "p", "profile_id": "1"})
    assert (default / "1" / "lock").exists()


async def test_what_processes_that_are_gone_have_left_arrives_though_fewer_processes_crawl(
    broker: Broker, default: Path
) -> None:
    for number in range(3):
        async with EventPublisher(NOWHERE, default / str(number), exit_seconds=0) as gone:
            await emit_profiles(gone, number * 100, number * 100 + 100)
    await make_scrape_log_event("profile_log", {"source": "s", "platform": "p", "profile_id": "300"})
    counters = own_publisher().counters
    await until(lambda: counters.sent == 301)
    await dispatcher.close()
    assert counters.recovered == 300
    assert {int(each["profile_id"]) for each in await broker.events("profile_log")} == set(range(301))
    assert not spooled(default)


async def test_what_a_process_leaves_that_ends_later_is_found_too(broker: Broker, tmp_path: Path) -> None:
    async with (
        EventPublisher(broker.url, spools=tmp_path, look_seconds=0.05) as survivor,
        EventPublisher(NOWHERE, spools=tmp_path, exit_seconds=0) as dying,
    ):
        await emit_profiles(dying, 0, 50)
        await until(lambda: dying.counters.in_spool == 50)
        await asyncio.sleep(0.2)
        assert survivor.counters.accepted == 0  # a live process's spool is not taken over
        await dying.__aexit__(None, None, None)
        await until(lambda: survivor.counters.sent == 50)
    assert {int(each["profile_id"]) for each in await broker.events("profile_log")} == set(range(50))


@pytest.mark.parametrize("wrong", ["a file", "a file under it", "nothing may be made in it"])
async def test_a_spool_folder_that_cannot_be_used_is_an_error_and_events_go_to_the_broker(
    broker: Broker, default: Path, wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = {
        "a file": default / "x",
        "a file under it": default / "x" / "y",
        "nothing may be made in it": Path("/proc"),
    }
    (default / "x").touch()
    monkeypatch.setenv("GCC_SPOOL_DIR", str(folder[wrong]))
    for number in range(200):
        await make_scrape_log_event("profile_log", {"source": "s", "platform": "p", "profile_id": str(number)})
    await dispatcher.close()
    assert {int(each["profile_id"]) for each in await broker.events("profile_log")} == set(range(200))
    (logged,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"GCC_SPOOL_DIR: the spool directory {folder[wrong]}/0 cannot be used" in logged.getMessage()
    assert "a directory writable by this user" in logged.getMessage()


async def test_a_log_that_cannot_be_read_is_counted_and_said(default: Path, caplog: pytest.LogCaptureFixture) -> None:
    await make_scrape_log_event("post_log", {"dimensions": [{"key": "taken_at_timestamp", "value": "private"}]})
    await make_scrape_log_event("post_log", 3)
    assert own_publisher().counters.refused == 2
    assert "a log of type post_log is lost, it cannot be read: TypeError" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize(
    ("url", "message"), [(None, "AMQP_URL is not set"), ("http://u:s3cret@h", "not a URL of the form amqp://")]
)
async def test_a_wrong_environment_is_said_and_does_not_stop_a_crawl(
    url: str | None, message: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AMQP_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("AMQP_URL", url)
    await make_scrape_log_event("post_log", {})
    await make_scrape_log_event("post_log", {})
    assert message in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_process_that_ends_without_close_leaves_its_events_to_the_next(broker: Broker, tmp_path: Path) -> None:
    script = (
        "import asyncio; from ingest_service.publisher import make_scrape_log_event as emit\n"
        "asyncio.run(emit('profile_log', {'source': 's', 'platform': 'p', 'profile_id': '1'}))\n"
        "asyncio.run(emit('profile_log', {'source': 's', 'platform': 'p', 'profile_id': '2'}))\n"
    )
    environment = {"AMQP_URL": "amqp://127.0.0.1:1/", "GCC_SPOOL_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)  # noqa: ASYNC221
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    async with EventPublisher(broker.url, tmp_path / "0") as publisher:
        await until(lambda: publisher.counters.sent == 2)
    assert {each["profile_id"] for each in await broker.events("profile_log")} == {"1", "2"}


def test_importing_the_sdk_loads_nothing_that_only_the_service_needs() -> None:
    heavy = {"clickhouse_connect", "pydantic", "pydantic_settings", "click", "rich", "structlog", "prometheus_client"}
    script = "import sys, ingest_service.publisher; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "aio_pika" in loaded
    assert not loaded & heavy
