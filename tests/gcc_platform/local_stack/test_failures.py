"""What goes wrong says what, with which value, and the way out, and leaves nothing running."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.errors import Cancelled, StackError
from gcc_platform.local_stack.ports import LOOPBACK, Ports, is_free, pick_free, variable
from gcc_platform.local_stack.postgres import Postgres
from gcc_platform.local_stack.rabbitmq import RabbitMQ
from gcc_platform.local_stack.server import Server
from gcc_platform.local_stack.stack import SERVERS, Stack
from tests.gcc_platform.local_stack.conftest import run_stack


def make(server: type[Server], directory: Path) -> Server:
    return server(directory, Ports.free(), dict.fromkeys(server.users, "password"), fast=True)


def nothing(_: str) -> None:
    """Hear no progress."""


@pytest.fixture
def only_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://somebody:else@broker/")
    monkeypatch.setenv("CLICKHOUSE_URL", "http://somebody:else@clickhouse:8123")


@pytest.mark.parametrize("name", list(asdict(Ports(1, 2, 3, 4, 5, 6))))
def test_a_taken_port_is_named_with_the_variable_that_changes_it(name: str, tmp_path: Path) -> None:
    ports = Ports.free()
    port = asdict(ports)[name]
    server = next(server for server in SERVERS if name in server.port_names)
    with socket.create_server((LOOPBACK, port)), pytest.raises(StackError) as caught:
        Stack(tmp_path / "stack", ports, fast=True).start(nothing)
    assert str(caught.value).startswith(f"{server.name} did not start: port {port} ")
    assert variable(name) in str(caught.value)
    assert all(map(is_free, asdict(ports).values()))


@pytest.mark.usefixtures("only_postgres")
def test_an_error_is_one_message_without_traceback_and_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    refused = run_stack("start", "--dir", file / "below", ports=Ports.free(), cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"error: cannot write to the directory {file / 'below'} (Not a directory)")
    assert refused.stderr.count("\n") == 1


def test_a_read_only_directory_is_refused(ordinary_user: Sequence[str] | None, tmp_path: Path) -> None:
    if ordinary_user is None:
        pytest.skip("root may write everywhere, and may not become an ordinary user here")
    (tmp_path / "read-only").mkdir(mode=0o555)
    for directory in (tmp_path / "read-only", tmp_path / "read-only" / "below"):
        refused = run_stack("start", "--dir", directory, ports=Ports.free(), cwd=tmp_path, prefix=ordinary_user)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"cannot write to the directory {directory} (Permission denied)" in refused.stderr
        assert "GCC_LOCAL_DIR" in refused.stderr


def test_a_very_long_path_is_refused_before_anything_starts(tmp_path: Path) -> None:
    directory = tmp_path.joinpath(*["x" * 100] * 9)
    with pytest.raises(StackError, match="longer than 900 bytes"):
        Stack(directory, Ports.free()).start(nothing)
    assert not directory.exists()


@pytest.mark.usefixtures("only_postgres")
def test_a_directory_almost_too_long_works(tmp_path: Path) -> None:
    missing = 900 - len(str(tmp_path))
    directory = tmp_path.joinpath(*["x" * 99] * (missing // 100), "y" * (missing % 100 - 1))
    stack = Stack(directory, Ports.free(), fast=True)
    assert len(str(stack.directory)) >= 899
    stack.start(nothing)
    stack.stop()


def test_a_corrupt_state_file_is_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    record = tmp_path / "stack.json"
    record.write_text("{")
    with pytest.raises(StackError, match=r"stack\.json cannot be read"):
        Stack(tmp_path, Ports.free()).start(nothing)
    assert record.read_text() == "{"


@pytest.mark.parametrize(
    ("server", "file", "bad_line", "reason"),
    [
        (RabbitMQ, "advanced.config", "this is not Erlang", "failed_to_read_advanced_configuration_file"),
        (ClickHouse, "data/metadata/broken.sql", "THIS IS NOT SQL", "broken.sql"),
        (Postgres, "data/postgresql.conf", "no_such_setting = 1", "no_such_setting"),
    ],
)
def test_a_server_that_dies_at_boot_shows_the_end_of_its_log(
    server: type[Server], file: str, bad_line: str, reason: str, tmp_path: Path
) -> None:
    planted = make(server, tmp_path)
    planted.prepare()
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    with (tmp_path / file).open("a") as config:
        config.write(f"\n{bad_line}\n")
    with pytest.raises(StackError) as caught:
        planted.start(threading.Event())
    message = str(caught.value)
    assert message.startswith(f"{server.name} did not start: it died while it started. The end of {tmp_path}")
    assert reason in message
    assert not planted.process.running()
    assert all(map(is_free, planted.own_ports().values()))


def test_a_start_that_is_cancelled_leaves_no_server(tmp_path: Path) -> None:
    cancelled = threading.Event()
    server = make(RabbitMQ, tmp_path)

    with ThreadPoolExecutor() as threads:
        start = threads.submit(server.start, cancelled)
        while not server.process.running() and not start.done():
            time.sleep(0.01)
        cancelled.set()
    assert isinstance(start.exception(), Cancelled)
    assert not server.process.running()
    assert not (tmp_path / "epmd.port").exists()


def test_a_lost_state_file_is_distinguished_from_a_slow_server(tmp_path: Path) -> None:
    server = make(Postgres, tmp_path)
    server.start(threading.Event())
    server.stop()
    stranger = Postgres(tmp_path, server.ports, dict.fromkeys(server.users, "another"), fast=True)
    with pytest.raises(StackError, match=r"refuses the password of postgres in stack\.json"):
        stranger.start(threading.Event())
    assert not stranger.process.running()


def test_a_missing_rabbitmq_names_the_package_and_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcc_platform.local_stack.rabbitmq._DEBIAN", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"apt-get install rabbitmq-server.*AMQP_URL"):
        make(RabbitMQ, tmp_path / "rabbitmq").start(threading.Event())


def test_an_unusable_port_number_in_the_environment_is_a_usage_error(tmp_path: Path) -> None:
    refused = run_stack("status", ports=Ports.free(), cwd=tmp_path, GCC_LOCAL_AMQP_PORT="five")
    assert refused.returncode == 2
    assert "GCC_LOCAL_AMQP_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_epmd_of_a_broker_that_was_killed_is_stopped_before_the_next_one_starts(tmp_path: Path) -> None:
    broker = make(RabbitMQ, tmp_path)
    (left,) = pick_free(1)
    subprocess.run(["epmd", "-daemon", "-port", str(left)], env=os.environ | {"ERL_EPMD_ADDRESS": LOOPBACK}, check=True)
    deadline = time.monotonic() + 10
    while is_free(left):
        assert time.monotonic() < deadline, "epmd listens"
        time.sleep(0.02)
    (tmp_path / "epmd.port").write_text(f"{left}\n")
    broker.command()
    assert is_free(left)


def test_another_server_on_the_port_of_an_epmd_that_is_gone_holds_nobody_up(tmp_path: Path) -> None:
    broker = make(RabbitMQ, tmp_path)
    with socket.create_server((LOOPBACK, 0)) as silent:
        taken = silent.getsockname()[1]
        (tmp_path / "epmd.port").write_text(f"{taken}\n")
        broker.command()
    assert (tmp_path / "epmd.port").read_text() != f"{taken}\n"
