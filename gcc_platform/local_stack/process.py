"""A background process that survives its parent and is identified by a pid file."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gcc_platform.local_stack.errors import StackError

POLL_SECONDS = 0.02
REPEAT_SECONDS = 2
TAIL_LINES = 20

# A background job of a script ignores SIGINT, its children inherit that, and a shell cannot undo it. This program
# resets the signals and then executes the server. A preexec_fn could deadlock in a process with threads.
_BECOME = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
os.umask(0o077)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and its complete environment."""

    argv: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class Process:
    """A background process with its pid file and its log in a directory of its own."""

    directory: Path
    logs: Sequence[Path] = ()
    """Log files that the process itself writes, besides its output in `output.log`."""

    _started: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_starts: dict[Path, int] = field(default_factory=dict, init=False)

    @property
    def output(self) -> Path:
        """The file that receives the process's stdout and stderr."""
        return self.directory / "output.log"

    @property
    def pid_file(self) -> Path:
        """Holds the pid and the process's start time, so that a reused pid is not mistaken for ours."""
        return self.directory / "pid"

    def start(self, command: Command) -> None:
        """Run the command in a session of its own."""
        self._log_starts = {path: _size(path) for path in (self.output, *self.logs)}
        with self.output.open("ab") as output:
            self._started = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BECOME, *command.argv],
                env=dict(command.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        pid = self._started.pid
        self.pid_file.write_text(f"{pid} {_start_time(pid)}\n")

    def pid(self) -> int | None:
        """The process's id, or None if it is not running."""
        try:
            pid, started = map(int, self.pid_file.read_text().split())
        except (OSError, ValueError):
            return None
        return pid if _start_time(pid) == started else None

    def running(self) -> bool:
        """Whether the process is alive."""
        return self.pid() is not None

    def wait_until(self, healthy: Callable[[], bool], *, seconds: float) -> None:
        """Wait until healthy. Raises StackError, with the end of the log, if the process dies or takes too long."""
        deadline = time.monotonic() + seconds
        while not healthy():
            if not self.running():
                raise StackError(f"it died while it started.{self.tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"it did not answer within {seconds:.0f} s.{self.tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, number: signal.Signals, *, seconds: float) -> None:
        """Send the signal and wait. After the deadline, kill the process and its group."""
        pid = self.pid()
        if pid is not None and not self._ended(number, pid, seconds):
            os.killpg(pid, signal.SIGKILL)
            self._ended(signal.SIGKILL, pid, seconds)
        if self._started is not None:
            self._kill_rest(self._started)
            self._started.wait()
        self.pid_file.unlink(missing_ok=True)

    @staticmethod
    def _kill_rest(started: subprocess.Popen[bytes]) -> None:
        """Kill the children that a process left when it ended. Its id is not reused before it is waited for."""
        if started.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)

    def tail(self) -> str:
        """The last lines logged since the process started, each log under its path."""
        return "".join(map(self._tail, (self.output, *self.logs)))

    def _ended(self, number: signal.Signals, pid: int, seconds: float) -> bool:
        """Whether the signal ends the process in time. It is repeated, because Erlang loses one while it boots."""
        deadline = time.monotonic() + seconds
        repeat = 0.0
        while self.pid() == pid:
            now = time.monotonic()
            if now > deadline:
                return False
            if now > repeat:
                repeat = now + REPEAT_SECONDS
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(POLL_SECONDS)
        return True

    def _tail(self, path: Path) -> str:
        with contextlib.suppress(OSError), path.open("rb") as log:
            log.seek(self._log_starts.get(path, 0))
            lines = log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
            if lines:
                return "\n".join([f" The end of {path}:", *lines])
        return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _start_time(pid: int) -> int | None:
    """The process's start time in clock ticks since boot; None if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *numbers = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(numbers[18])
