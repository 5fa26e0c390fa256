"""A real gcc-ingest process for tests, and looks at what it has done through its servers."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from gcc_platform.local_stack.ports import pick_free

GCC_INGEST = Path(sys.executable).with_name("gcc-ingest")


def eventually(holds: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """The first true value of a condition. Fails after a deadline."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or holds}")
        time.sleep(0.05)
    return value


def run(
    environment: Mapping[str, str], *arguments: str, stdin: bytes = b"", most_bytes: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a gcc-ingest command to its end, with an address space of at most so many bytes."""
    limited = ["prlimit", f"--as={most_bytes}"] if most_bytes else []
    return subprocess.run(
        [*limited, GCC_INGEST, *arguments],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


class Service:
    """`gcc-ingest run` in the background."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        (port,) = pick_free(1)
        self.port = port
        self.log = log
        self._environment = {
            **os.environ,
            "GCC_FLUSH_SECONDS": "0.2",
            "GCC_RETRY_MOST_SECONDS": "0.5",
            **environment,
            "GCC_HTTP_PORT": str(port),
        }
        self.process = self._start()

    def _start(self, **more: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen([GCC_INGEST, "run"], env={**self._environment, **more}, stdout=log, stderr=log)

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self, event_type: str) -> dict[str, Any]:
        """What /status says of an event type."""
        status: dict[str, Any] = json.loads(self.get("/status")[1])["types"][event_type]
        return status

    def obstacles(self) -> dict[str, str]:
        """What /ready says stands in the way."""
        found: dict[str, str] = json.loads(self.get("/ready")[1] or '{"obstacles": {"http": "not listening"}}')[
            "obstacles"
        ]
        return found

    def wait_ready(self) -> "Service":
        """Wait until messages of every type move."""
        eventually(lambda: self.get("/ready")[0] == 200, what=f"ready; its log: {self.log.read_text()[-2000:]}")
        return self

    def kill_and_restart(self) -> None:
        """SIGKILL, then a new process."""
        self.kill()
        self.restart()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self, **more: str) -> None:
        """A new process, once the old one is gone; with more in its environment."""
        self.process.wait()
        self.process = self._start(**more)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)


class Table:
    """A look at one table of the raw database."""

    def __init__(self, environment: Mapping[str, str], name: str) -> None:
        self._url = environment["CLICKHOUSE_URL"]
        self.name = name

    def rows(self, columns: str = "*") -> list[dict[str, Any]]:
        """Every row, de-duplicated, by event_id."""
        text = query(self._url, f"SELECT {columns} FROM {self.name} FINAL ORDER BY event_id FORMAT JSONEachRow")
        return [json.loads(line) for line in text.splitlines()]

    def count(self) -> int:
        """How many rows there are, de-duplicated."""
        return int(query(self._url, f"SELECT count() FROM {self.name} FINAL"))

    def command(self, statement: str) -> None:
        """Run a statement, {} is the table's name."""
        query(self._url, statement.format(self.name))


def query(url: str, sql: str, seconds: float = 60) -> str:
    """The answer of ClickHouse at a URL with user and password in it."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(f"http://{parts.hostname}:{parts.port}/", data=sql.encode())
    request.add_header("X-ClickHouse-User", parts.username or "")
    request.add_header("X-ClickHouse-Key", parts.password or "")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None


@contextmanager
def service(environment: Mapping[str, str], folder: Path, **more: str) -> Iterator[Service]:
    """A running service, killed at the end if it still runs."""
    with Service({**environment, **more}, folder / "service.log") as running:
        yield running
