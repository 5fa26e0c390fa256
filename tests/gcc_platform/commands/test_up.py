"""Everything together, started and stopped as a newcomer does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gcc_platform.local_stack.ports import Ports, pick_free
from tests.harness.running import eventually, query

GCC_PLATFORM = Path(sys.executable).with_name("gcc-platform")
SERVERS = ("AMQP_URL", "CLICKHOUSE_URL", "POSTGRES_URL", "ALERTMANAGER_URL")


def settings(directory: Path) -> dict[str, str]:
    """A newcomer's environment: no URLs; free ports, because this machine may have other stacks."""
    environment = {name: value for name, value in os.environ.items() if name not in SERVERS}
    environment |= {f"GCC_LOCAL_{name.upper()}_PORT": str(port) for name, port in vars(Ports.free()).items()}
    http, dagster, archive, watch = pick_free(4)
    return environment | {
        "DAGSTER_HOME": str(directory / "dagster_home"),
        "GCC_DAGSTER_PORT": str(dagster),
        "GCC_HTTP_PORT": str(http),
        "GCC_ARCHIVE_HTTP_PORT": str(archive),
        "GCC_WATCH_PORT": str(watch),
        "GCC_LOCAL_DIR": str(directory),
    }


def processes_of(directory: Path) -> list[str]:
    """Command lines and environments that name the directory: whatever was started for it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            described = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in described and int(process.name) != os.getpid():
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@dataclass(frozen=True)
class Everything:
    """A running `gcc-platform up`."""

    process: "subprocess.Popen[bytes]"
    environment: Mapping[str, str]
    directory: Path
    output: Path

    def dagster(self, graphql: str) -> Any:
        """The data of a GraphQL answer."""
        port = self.environment["GCC_DAGSTER_PORT"]
        url = f"http://127.0.0.1:{port}/graphql?{urllib.parse.urlencode({'query': graphql})}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def url(self, name: str) -> str:
        """A URL that the stack has written for other shells."""
        return dict(line.split("=", 1) for line in (self.directory / "env").read_text().splitlines())[name]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    directory = tmp_path_factory.mktemp("up")
    environment = settings(directory)
    output = directory / "up.out"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [GCC_PLATFORM, "up", "--simulate", "50"], env=environment, cwd=directory, stdout=out, stderr=out
        )
    try:
        eventually(lambda: process.poll() is not None or b"Ctrl-C stops" in output.read_bytes(), 240, "up is up")
        assert process.poll() is None, output.read_text()
        yield Everything(process, environment, directory, output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_up_shows_every_url_and_no_password(everything: Everything) -> None:
    shown = everything.output.read_text()
    for name in ("GCC_DAGSTER_PORT", "GCC_HTTP_PORT", "GCC_LOCAL_MANAGEMENT_PORT", "GCC_LOCAL_POSTGRES_PORT"):
        assert f"127.0.0.1:{everything.environment[name]}" in shown
    passwords = {urllib.parse.urlsplit(everything.url(name)).password for name in SERVERS}
    assert not any(str(password) in shown for password in passwords)


def test_simulated_events_flow_into_the_raw_tables(everything: Everything) -> None:
    url = everything.url("GCC_READER_CLICKHOUSE_URL")
    eventually(lambda: int(query(url, "SELECT count() FROM _e.post_log_events")) > 0, 60)


def test_dagster_shows_the_graph_from_the_raw_tables_to_the_api(everything: Everything) -> None:
    nodes = everything.dagster("{assetNodes{assetKey{path} dependencyKeys{path}}}")["assetNodes"]
    upstream = {"/".join(n["assetKey"]["path"]): {"/".join(k["path"]) for k in n["dependencyKeys"]} for n in nodes}
    assert len([name for name in upstream if name.startswith("raw/")]) == 12
    chain = [
        "api/post_daily",
        "serving/mart_post_timeseries",
        "marts/mart_post_timeseries",
        "staging/stg_beat_post_log",
        "raw/post_log_events",
    ]
    for downstream, expected in pairwise(chain):
        assert expected in upstream[downstream]


def test_the_schedules_and_the_sensors_run_without_being_switched_on(everything: Everything) -> None:
    repositories = everything.dagster(
        "{repositoriesOrError{...on RepositoryConnection{nodes{"
        "schedules{name cronSchedule scheduleState{status}} sensors{name sensorState{status}}}}}}"
    )["repositoriesOrError"]["nodes"]
    (repository,) = repositories
    assert {(s["cronSchedule"], s["scheduleState"]["status"]) for s in repository["schedules"]} == {
        ("*/15 * * * *", "RUNNING"),
        ("7 3 * * *", "RUNNING"),
    }
    assert {sensor["sensorState"]["status"] for sensor in repository["sensors"]} == {"RUNNING"}


def test_doctor_finds_nothing_wrong(everything: Everything) -> None:
    done = subprocess.run(
        [GCC_PLATFORM, "doctor", "--json"], env=everything.environment, capture_output=True, check=False
    )
    findings = json.loads(done.stdout)
    assert [finding for finding in findings if not finding["ok"] or finding["is_hint"]] == []
    assert len(findings) >= 12
    assert {"ingest service", "archive", "Dagster"} <= {finding["subject"] for finding in findings}
    assert done.returncode == 0


def test_nothing_is_wrong_on_the_status_page(everything: Everything) -> None:
    def is_well() -> bool:
        done = subprocess.run(
            [GCC_PLATFORM, "status", "--json"], env=everything.environment, capture_output=True, check=False
        )
        return done.returncode == 0 and json.loads(done.stdout)["alerts"] == []

    eventually(is_well, 90)


def test_a_process_that_is_killed_is_started_again_and_the_others_go_on(everything: Everything) -> None:
    before = {name: int((everything.directory / name / "pid").read_text().split()[0]) for name in ("ingest", "watch")}
    os.kill(before["watch"], signal.SIGKILL)

    def restarted() -> bool:
        status = f"http://127.0.0.1:{everything.environment['GCC_WATCH_PORT']}/heartbeat"
        try:
            urllib.request.urlopen(status, timeout=5).close()
        except OSError:
            return False
        return int((everything.directory / "watch" / "pid").read_text().split()[0]) != before["watch"]

    eventually(restarted, 60)
    assert "the watch ended unexpectedly" in everything.output.read_text()
    assert int((everything.directory / "ingest" / "pid").read_text().split()[0]) == before["ingest"]


def test_a_server_that_is_killed_is_started_again(everything: Everything) -> None:
    pid = int((everything.directory / "clickhouse" / "pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    url = everything.url("GCC_READER_CLICKHOUSE_URL")

    def answers() -> bool:
        try:
            return query(url, "SELECT 1").strip() == "1"
        except OSError:
            return False

    eventually(lambda: "ClickHouse ended unexpectedly" in everything.output.read_text(), 30)
    eventually(answers, 60)


def test_a_second_up_names_the_port_that_is_in_use(everything: Everything, tmp_path: Path) -> None:
    environment = {**settings(tmp_path), "GCC_DAGSTER_PORT": everything.environment["GCC_DAGSTER_PORT"]}
    done = subprocess.run([GCC_PLATFORM, "up"], env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"port {environment['GCC_DAGSTER_PORT']} for Dagster is in use" in done.stderr.decode()
    assert "GCC_DAGSTER_PORT" in done.stderr.decode()


def test_one_ctrl_c_stops_everything_within_30_seconds_and_leaves_no_process(everything: Everything) -> None:
    started = time.monotonic()
    everything.process.send_signal(signal.SIGINT)
    assert everything.process.wait(60) == 0
    assert time.monotonic() - started < 30
    assert processes_of(everything.directory) == []
    for name, port in everything.environment.items():
        if re.fullmatch(r"GCC_\w*PORT", name):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", int(port))) != 0, name


def test_doctor_names_each_problem_with_advice(tmp_path: Path) -> None:
    urls = {
        "AMQP_URL": "amqp://u:s3cret@127.0.0.1:1/",
        "CLICKHOUSE_URL": "http://u:s3cret@127.0.0.1:1",
        "POSTGRES_URL": "postgresql://u:s3cret@127.0.0.1:1/gcc",
    }
    done = subprocess.run([GCC_PLATFORM, "doctor"], env={**os.environ, **urls}, capture_output=True, check=False)
    assert done.returncode == 1
    output = done.stdout.decode()
    assert output.count("FAIL") >= 6
    assert "AMQP_URL: no broker answers at amqp://u@127.0.0.1:1" in output
    assert "->" in output
    assert "s3cret" not in output + done.stderr.decode()
