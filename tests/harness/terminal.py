"""A gcc-ingest command on a real terminal of 80 columns."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
import tty
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from tests.harness.running import GCC_INGEST

_SIZE = struct.pack("HHHH", 24, 80, 0, 0)


@dataclass(frozen=True)
class Said:
    """What came out of the command, stdout and stderr as they mix on a terminal."""

    code: int
    output: bytes


def on_terminal(environment: Mapping[str, str], *arguments: str, answer: bytes = b"", seconds: float = 60) -> Said:
    """Run it to its end, `answer` typed in at once. The terminal adds nothing: no echo, no carriage returns."""
    ours, its = pty.openpty()
    tty.setraw(its)
    fcntl.ioctl(its, termios.TIOCSWINSZ, _SIZE)
    with subprocess.Popen(
        [GCC_INGEST, *arguments],
        env={**os.environ, **environment, "TERM": "xterm"},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        os.write(ours, answer)
        output = _until_closed(ours, time.monotonic() + seconds)
        os.close(ours)
    return Said(process.returncode, output)


def controls(text: str) -> set[str]:
    """What a terminal could obey: control and format characters and unpaired surrogates, but for line ends."""
    return {each for each in text if each != "\n" and unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}


def _until_closed(terminal: int, deadline: float) -> bytes:
    output = b""
    while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            output += os.read(terminal, 65_536)
        except OSError:  # what Linux answers once nobody holds the other end
            return output
    raise AssertionError(f"the command did not end in time; so far: {output!r}")
