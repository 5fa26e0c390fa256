"""Dagster's platform/health shows what a real watch reports, and that the watch is away."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest

from gcc_platform.defs.health.assets import CHECKED, KEY, health_sensor
from gcc_platform.local_stack.ports import pick_free
from gcc_platform.watch.catalog import KINDS
from tests.harness.running import eventually


@pytest.fixture
def watch(raw_tables: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A watch that looks at the session's servers, and at an ingest service that does not exist."""
    port, nothing = map(str, pick_free(2))
    own = {"GCC_WATCH_PORT": port, "GCC_HTTP_PORT": nothing, "GCC_WATCH_SECONDS": "0.5", "ALERTMANAGER_URL": ""}
    off = {"GCC_DAGSTER_URL": "off", "GCC_ARCHIVE_HTTP_URL": "off"}
    monkeypatch.setenv("GCC_WATCH_PORT", port)
    process = subprocess.Popen(
        [Path(sys.executable).with_name("gcc-platform"), "watch"],
        env={**os.environ, **raw_tables, **own, **off},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )

    def sees() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=5) as answer:
                return b"IngestDown" in answer.read()
        except OSError:
            return False

    eventually(sees, 60)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[dict[str, dg.AssetCheckEvaluation], str]:
    result = health_sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    events = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    assert {event.asset_key for event in events} <= {KEY}
    return {event.check_name: event for event in events}, str(result.cursor)


@pytest.mark.usefixtures("watch")
def test_each_alert_is_a_check_and_only_changes_are_reported() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        found, cursor = tick(instance)
        assert set(found) == {kind.name for kind in CHECKED}
        assert not found["IngestDown"].passed
        assert found["IngestDown"].severity == dg.AssetCheckSeverity.ERROR
        assert "refused" in str(found["IngestDown"].description)
        assert found["ClickHouseDown"].passed
        assert found["WatchDown"].passed
        assert tick(instance, cursor)[0] == {}


def test_without_a_watch_one_check_fails_and_nothing_is_claimed_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GCC_WATCH_PORT", str(pick_free(1)[0]))
    with dg.DagsterInstance.ephemeral() as instance:
        found, _ = tick(instance)
    assert list(found) == ["WatchDown"]
    assert not found["WatchDown"].passed


def test_every_alert_is_shown_here_or_elsewhere() -> None:
    elsewhere = {"CheckFailed", "AssetLate", "DagsterDown", "TestAlert", "Watchdog"}
    assert {kind.name for kind in CHECKED} | elsewhere == KINDS.keys()
