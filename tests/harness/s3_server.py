"""A real S3 server on loopback that checks signatures: it can be started, and killed, at any time."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from gcc_platform.local_stack.ports import LOOPBACK, answers, pick_free
from tests.harness.running import eventually

# nanio in a process that ends when our end of the pipe closes, however we end.
_UNTIL_END_OF_INPUT = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from nanio.cli import main
sys.exit(main())
"""


class S3Server:
    """Its port and keys stay the same from start to start, and so do the objects."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = pick_free(1)[0]
        self._reserved: socket.socket | None = socket.create_server((LOOPBACK, self._port), reuse_port=False)
        """Nobody else may take the port before the first start."""
        self._process: subprocess.Popen[bytes] | None = None
        self.secret = uuid4().hex
        self.url = f"http://stage:{self.secret}@{LOOPBACK}:{self._port}/bucket/marts"
        """GCC_SYNC_STAGE."""
        self.folder = directory / "bucket" / "marts"
        """Where the objects below the URL are, as files."""

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process:
            return
        if self._reserved:
            self._reserved.close()
            self._reserved = None
        self.folder.parent.mkdir(exist_ok=True)
        options = ("--host", LOOPBACK, "--port", str(self._port), "--data-dir", str(self._directory))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _UNTIL_END_OF_INPUT, "serve", *options, "--no-access-log", "--log-level", "error"],
            env={**os.environ, "NANIO_ACCESS_KEY": "stage", "NANIO_SECRET_KEY": self.secret},
            stdin=subprocess.PIPE,
        )
        eventually(lambda: answers(self._port))

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def objects(self) -> list[Path]:
        """The files of all objects below the URL."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def make_older(self, written: Path, seconds: float) -> None:
        """Let an object have been written some time ago: without its metadata the file's own time counts."""
        bucket = self.folder.parent
        metadata = bucket / ".nanio-meta" / f"{written.relative_to(bucket)}.json"
        metadata.unlink(missing_ok=True)
        os.utime(written, (time.time() - seconds,) * 2)
