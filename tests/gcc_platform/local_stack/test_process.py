import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.process import Command, Process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.stop(signal.SIGKILL, seconds=5)


def shell(script: str) -> Command:
    return Command(["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]})


def test_a_process_runs_until_it_is_stopped(process: Process) -> None:
    process.start(shell("exec sleep 60"))
    pid = process.pid()
    assert pid is not None
    process.stop(signal.SIGTERM, seconds=5)
    assert not process.running()
    assert not Path(f"/proc/{pid}").exists()
    assert not process.pid_file.exists()


def test_another_object_of_the_same_directory_finds_the_process(process: Process) -> None:
    process.start(shell("exec sleep 60"))
    assert Process(process.directory).pid() == process.pid()


def test_a_reused_pid_is_never_killed(process: Process) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        process.pid_file.write_text(f"{stranger.pid} 1\n")
        assert not process.running()
        process.stop(signal.SIGKILL, seconds=0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_will_not_stop_is_killed_with_its_children(process: Process) -> None:
    process.start(shell("trap '' TERM; sleep 61 & echo $! > child; while :; do sleep 1; done"))
    child = process.directory / "child"
    process.wait_until(lambda: child.exists() and child.read_text() != "", seconds=5)
    process.stop(signal.SIGTERM, seconds=0.2)
    assert not process.running()
    _wait_until_gone(int(child.read_text()))


def test_sigint_reaches_a_server_whose_starter_ignores_it(process: Process) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start(shell("exec sleep 60"))
    finally:
        signal.signal(signal.SIGINT, before)
    process.stop(signal.SIGINT, seconds=30)
    assert not process.running()


def test_a_process_that_dies_shows_the_end_of_this_runs_log_and_no_other(process: Process) -> None:
    process.output.write_text("an earlier run\n")
    process.start(shell("seq 100; echo the reason >&2; exit 1"))
    with pytest.raises(StackError) as caught:
        process.wait_until(lambda: False, seconds=10)
    assert str(process.output) in str(caught.value)
    assert str(caught.value).endswith("the reason")
    assert "\n100\n" in str(caught.value)
    assert "\n50\n" not in str(caught.value)
    assert "an earlier run" not in str(caught.value)


def test_a_process_that_never_becomes_healthy_is_given_up_after_the_deadline(process: Process) -> None:
    process.start(shell("exec sleep 60"))
    with pytest.raises(StackError, match="did not answer"):
        process.wait_until(lambda: False, seconds=0.1)


def test_a_process_inherits_nothing_of_its_starters_open_files(process: Process) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    process.start(shell("exec sleep 60"))
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
