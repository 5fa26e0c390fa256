"""The doctor names messages that wait where nothing reads them, and an archive that does not work."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aio_pika import Message

from gcc_platform.commands import running_platform
from gcc_platform.commands.finding import Finding
from gcc_platform.local_stack.ports import pick_free
from gcc_platform.settings import Settings
from ingest_service.broker import topology
from ingest_service.broker.connection import connected
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.archiving import archiving, letter_headers, put
from tests.harness.running import eventually

GCC_PLATFORM = Path(sys.executable).with_name("gcc-platform")
ERRORS = "error.order_log_events_q"
OFF = dict.fromkeys(("GCC_INGEST_HTTP_URL", "GCC_ARCHIVE_HTTP_URL", "GCC_DAGSTER_URL"), "off")


@pytest.fixture
def platform(
    raw_tables: Mapping[str, str], broker: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """The environment of the session's servers, with empty queues and no services."""
    environment = {**raw_tables, **broker, **OFF, "GCC_LOCAL_DIR": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(_declare(broker["AMQP_URL"]))
    return environment


async def _declare(url: str) -> None:
    async with connected(url, "tests") as connection:
        await topology.declare(connection, EVENT_TYPES.values())


def findings(subject: str) -> list[Finding]:
    return [finding for finding in running_platform.examine(Settings()) if finding.subject == subject]


def shown(subject: str) -> list[tuple[bool, str]]:
    return [(finding.ok, finding.message) for finding in findings(subject)]


def eventually_shown(subject: str, expected: list[tuple[bool, str]]) -> None:
    """A quorum queue counts a message a little after it has confirmed it."""
    eventually(lambda: shown(subject) == expected, what=f"{expected}, but {shown(subject)}")


def test_empty_queues_and_what_is_not_asked_are_stated(platform: Mapping[str, str]) -> None:
    assert shown("dead letters") == [(True, "0 messages wait in 12 error queues")]
    assert shown("unroutable messages") == [(True, "0 messages without a queue of their own wait in beat.unroutable_q")]
    assert shown("archive") == [(True, "not asked, because GCC_ARCHIVE_HTTP_URL is off")]


def test_messages_without_a_queue_are_counted_once_with_what_to_do(platform: Mapping[str, str]) -> None:
    async def publish() -> None:
        async with connected(platform["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            for _ in range(2):
                await exchange.publish(Message(b"{}"), "a_key_of_nobody")

    asyncio.run(publish())
    expected = [(False, "2 messages without a queue of their own wait in beat.unroutable_q")]
    eventually_shown("unroutable messages", expected)
    [finding] = findings("unroutable messages")
    assert "a publisher uses a routing key without a queue" in finding.advice.lower()
    assert findings("UnroutableMessages") == []


def test_dead_letters_that_nothing_reads_are_wrong_and_those_that_the_archive_reads_are_stated(
    platform: Mapping[str, str],
) -> None:
    put(platform, "order_log", [(b"{", letter_headers())] * 3)
    eventually_shown("dead letters", [(False, f"3 dead letters wait in {ERRORS}, nothing reads it")])
    assert "gcc-ingest archive" in findings("dead letters")[0].advice

    async def look_while_one_is_read() -> list[tuple[bool, str]]:
        async with connected(platform["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            await channel.set_qos(1)
            queue = await channel.get_queue(ERRORS, ensure=False)
            held: asyncio.Queue[object] = asyncio.Queue()
            await queue.consume(held.put)
            await held.get()
            return await asyncio.to_thread(shown, "dead letters")

    assert asyncio.run(look_while_one_is_read()) == [
        (True, f"2 dead letters wait in {ERRORS}, gcc-ingest archive reads it")
    ]


@contextmanager
def an_archive(platform: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A running archive that the doctor knows of."""
    (port,) = pick_free(1)
    monkeypatch.setenv("GCC_ARCHIVE_HTTP_URL", f"http://127.0.0.1:{port}")
    own = {"GCC_ARCHIVE_HTTP_PORT": str(port), "GCC_ARCHIVE_URL": str(folder), "GCC_ARCHIVE_SECONDS": "0.2"}
    with archiving({**platform, **own}, folder.with_name("archive.log")):
        yield


def test_an_archive_that_works_fails_or_is_down_is_stated_with_the_reason_and_what_to_do(
    platform: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "letters"
    with an_archive(platform, folder, monkeypatch):
        eventually(lambda: shown("archive") == [(True, "works")])
        folder.mkdir(exist_ok=True)
        (folder / "order_log").write_text("a file where a folder should be")
        put(platform, "order_log", [(b"{", letter_headers())])
        [failing] = eventually(lambda: findings("ArchiveFailing"))
        assert "order_log" in failing.message
        assert "/status" in failing.advice
    [down] = findings("ArchiveDown")
    assert "does not answer: Connection refused" in down.message
    assert down.advice.startswith("Start or restart gcc-ingest archive")


def test_alertmanager_is_asked_for_its_version_and_named_when_it_is_down(
    platform: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [well] = findings("Alertmanager")
    assert well.ok
    assert well.message.startswith("version 0.")
    monkeypatch.setenv("ALERTMANAGER_URL", "http://u:s3cret@127.0.0.1:1")
    [down] = findings("Alertmanager")
    assert not down.ok
    assert "http://u@127.0.0.1:1" in down.message
    assert down.advice.startswith("Start Alertmanager")


def run_json(command: str, folder: Path) -> Any:
    """What a command prints with --json, without the services that it asks for."""
    away = {"GCC_INGEST_HTTP_URL": "http://127.0.0.1:1", "GCC_WATCH_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [GCC_PLATFORM, command, "--json"], env={**os.environ, **away}, cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 1
    return json.loads(done.stdout)


def test_the_doctors_json_is_json_though_something_is_wrong(platform: Mapping[str, str], tmp_path: Path) -> None:
    found = {(each["subject"], each["message"].split()[0]): each for each in run_json("doctor", tmp_path)}
    assert not found["IngestDown", "the"]["ok"]
    for subject in ("RabbitMQ", "ClickHouse, ingest", "PostgreSQL, sync"):
        assert found[subject, "version"]["ok"]
    assert found["ClickHouse, ingest", "disk"]["message"].startswith("disk default: ")
    assert found["RabbitMQ, management", "25"]["ok"]


def test_the_status_without_a_watch_is_json_though_something_is_wrong(
    platform: Mapping[str, str], tmp_path: Path
) -> None:
    assert "IngestDown" in {alert["name"] for alert in run_json("status", tmp_path)["alerts"]}
