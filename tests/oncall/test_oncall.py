"""Every fault is reported once, within its time, to a real receiver, with what to do; and its end once.

The short form, in `make test`, has the quick faults. `make oncall` has all of them, with the watch's own period.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcc_platform.watch.catalog import KINDS
from tests.chaos import tmpfs
from tests.harness import browser
from tests.harness.running import eventually
from tests.oncall import faults_of_data, faults_of_messages, faults_of_processes, faults_of_runs
from tests.oncall.fault import Fault
from tests.oncall.platform import Platform
from tests.oncall.receivers import Received, receivers

WHOLE = bool(os.environ.get("GCC_ONCALL"))
WATCH_SECONDS = 15.0 if WHOLE else 3.0
_TABLE = (faults_of_processes, faults_of_runs, faults_of_data, faults_of_messages)
FAULTS = [fault for module in _TABLE for fault in module.FAULTS if WHOLE or fault.is_quick]


@pytest.fixture(scope="module")
def received() -> Iterator[Received]:
    with receivers() as both:
        yield both


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, received: Received) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("oncall"), received, WATCH_SECONDS)
    try:
        running.open()
        running.wait_well()
        if WHOLE:
            faults_of_messages.CRAWLER.start(running)
        yield running
    finally:
        faults_of_messages.CRAWLER.stop()
        faults_of_messages.OVERLOAD.stop()
        running.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_reported_once_and_its_end_once(platform: Platform, received: Received, fault: Fault) -> None:
    if fault.needs_a_disk and (why_not := tmpfs.why_not()):
        pytest.skip(why_not)
    fault.prepare(platform)
    planted = time.time()
    fault.plant(platform)
    try:
        notice = received.wait("firing", planted, fault.seconds, **fault.labels)
    finally:
        healed = time.time()
        fault.heal(platform)
    seconds = notice.at - planted
    assert fault.text in notice.annotations["summary"]
    assert notice.annotations["do"] == KINDS[notice.labels["alertname"]].do
    assert notice.annotations["runbook"].endswith(f"#{KINDS[notice.labels['alertname']].anchor}")

    resolved = received.wait("resolved", healed, fault.heals_within, **fault.labels)
    platform.wait_well(fault.heals_within)
    assert len(received.of("firing", planted, **fault.labels)) == 1
    assert len(received.of("resolved", planted, **fault.labels)) == 1
    for name in fault.muted:
        assert received.of("firing", planted, alertname=name) == []
    others = {each.labels["alertname"] for each in received.of("firing", planted)} - {notice.labels["alertname"]}
    print(f"\n| {fault.name} | {notice.labels['alertname']} | {seconds:.0f} | {resolved.at - healed:.0f} | "
          f"{', '.join(sorted(others))} |")  # fmt: skip


def test_an_alert_arrives_by_mail_as_well_with_what_is_wrong_in_its_subject(
    platform: Platform, received: Received
) -> None:
    planted = time.time()
    platform.kill(platform.archive)
    try:
        received.wait("firing", planted, 60, alertname="ArchiveDown")
        subject = eventually(
            lambda: next((each for each in received.subjects() if "ArchiveDown" in each and "[warn]" in each), None), 30
        )
    finally:
        platform.start(platform.archive)
    assert subject.startswith("[warn] ArchiveDown: the archive of dead letters: http://127.0.0.1:")
    mail = next(each for each in received.emails if str(each["Subject"]) == subject)
    text = mail.get_content() if not mail.is_multipart() else mail.get_body(("plain",)).get_content()
    assert "Do: Start or restart gcc-ingest archive." in text.replace("\n", " ")
    received.wait("resolved", planted, 120, alertname="ArchiveDown")
    eventually(lambda: any(each.startswith("[resolved] ArchiveDown") for each in received.subjects()), 60)


def test_nothing_is_sent_twice_when_watch_and_alertmanager_are_restarted_and_a_silence_is_respected(
    platform: Platform, received: Received
) -> None:
    planted = time.time()
    platform.kill(platform.archive)
    try:
        received.wait("firing", planted, 60, alertname="ArchiveDown")
        platform.restart_watch()
        platform.restart_alertmanager()
        silence = platform.command("alerts", "silence", "alertname=IngestDown", "--for", "5m", "--comment", "a test")
        restarted = time.time()
        platform.kill(platform.ingest)
        eventually(lambda: "silenced" in platform.states("IngestDown"), 90)
        eventually(lambda: platform.states("ArchiveDown") == ["firing"], 60)
        eventually(lambda: any(pulse > restarted for pulse in received.pulses), 90, "the dead man's switch")
    finally:
        platform.start(platform.ingest)
        platform.start(platform.archive)
    received.wait("resolved", planted, 120, alertname="ArchiveDown")
    platform.wait_well()
    platform.command("alerts", "unsilence", silence.strip())
    assert len(received.of("firing", planted, alertname="ArchiveDown")) == 1
    assert received.of("firing", planted, alertname="IngestDown") == []


def test_the_test_alert_goes_the_whole_way_and_the_command_says_which_receivers_took_it(
    platform: Platform, received: Received
) -> None:
    started = time.time()
    assert set(platform.command("alerts", "test").split()) >= {"webhook:", "email:", "sent"}
    received.wait("firing", started, 10, alertname="TestAlert")


def test_while_alertmanager_is_away_the_status_page_says_that_nobody_is_notified(platform: Platform) -> None:
    platform.alertmanager.stop()
    try:
        eventually(lambda: "AlertmanagerDown" in platform.alerts(), 90)
    finally:
        platform.restart_alertmanager()
    platform.wait_well()


def test_a_browser_shows_what_is_wrong_on_the_status_page_and_in_dagster(platform: Platform) -> None:
    """Offline: the pages need nothing from elsewhere. Dagster's health check is reported by a sensor, every 30 s."""
    if not browser.executable():
        pytest.skip("NO CHROMIUM ON PATH: the pages were not looked at")
    status, dagster = f"http://127.0.0.1:{platform.watch_port}", f"http://127.0.0.1:{platform.dagster_port}"
    platform.kill(platform.archive)
    try:
        eventually(lambda: "ArchiveDown" in platform.alerts(), 60)
        page = browser.text(f"{status}/", offline=True)
        assert "ArchiveDown" in page
        assert KINDS["ArchiveDown"].do in page
        assert "ingest service ok" in page
        assert "order_log running" in page
        check = f"{dagster}/assets/platform/health?view=checks&checkDetail=ArchiveDown"
        eventually(lambda: "the archive of dead letters: http://" in browser.text(check), 90, "the failed check")
    finally:
        platform.start(platform.archive)
    assert "raw order_log_events" in browser.text(f"{dagster}/assets/raw/order_log_events")
    catalog = browser.text(f"{dagster}/assets")
    assert "api / leaderboard" in catalog
    assert "The rankings of each platform" in catalog
    assert "Dead letters wait in their error queues" in browser.text(f"{status}/runbook", offline=True)
    platform.wait_well()


def test_while_the_watch_is_away_the_dead_mans_switch_is_not_called_and_the_service_warns(
    platform: Platform, received: Received
) -> None:
    if not WHOLE:
        pytest.skip("takes seven minutes; run by make oncall")
    platform.kill(platform.watch)
    stopped = time.time()
    try:
        eventually(lambda: platform.get(platform.http, "/ready")["warnings"], 330, "the service's warning")
        assert not [pulse for pulse in received.pulses if pulse > stopped + 300 + 90]
    finally:
        platform.start(platform.watch)
    eventually(lambda: not platform.get(platform.http, "/ready")["warnings"], 60)
    platform.wait_well()


def test_the_folder_has_nothing_readable_by_others(platform: Platform) -> None:
    for path in Path(platform.alertmanager.directory).glob("*.yml"):
        assert path.stat().st_mode & 0o077 == 0, path
