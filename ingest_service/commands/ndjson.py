"""Read NDJSON files (also gzipped; `-` is stdin) in bounded memory."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from ingest_service.errors import UserError

_LINE_END = b"\r\n"
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NotNdjson(UserError):
    """A line is not a JSON object or exceeds the service's size limit; the message names the file and the line.

    The message never quotes the line: it may be a payload, which must not reach a terminal or a log.
    """


class Lines:
    """The lines of a file, and the read position. `longest` is the maximum line length in bytes."""

    def __init__(self, name: str, compressed: BinaryIO, lines: BinaryIO, size: int | None, longest: int) -> None:
        self._name = name
        self._longest = longest
        self._compressed = compressed
        self._lines = lines
        self.size = size
        """Stored (compressed) size of the file in bytes; None for a stream."""

    @property
    def position(self) -> int:
        """Bytes read so far, of `size`."""
        return self._compressed.tell() if self.size is not None else 0

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over non-blank lines. Raises NotNdjson for a line that is too long or not a JSON object."""
        try:
            for number, line in enumerate(iter(self._next, b""), start=1):
                self._check_length(number, line)
                if body := line.strip():
                    self._check(number, body)
                    yield body
        except (gzip.BadGzipFile, EOFError) as error:
            raise NotNdjson(f"{self._name} is truncated or not a valid gzip file: {error}") from None

    def _next(self) -> bytes:
        """Read the next line, up to just beyond the limit so that an overlong line is detected."""
        return self._lines.readline(self._longest + len(_LINE_END) + 1)

    def _check_length(self, number: int, line: bytes) -> None:
        if len(line.removesuffix(b"\n").removesuffix(b"\r")) > self._longest:
            raise NotNdjson(
                f"{self._name}, line {number} is longer than {self._longest} bytes, the service's limit "
                "(GCC_MAX_BODY_BYTES)"
            )

    def _check(self, number: int, body: bytes) -> None:
        where = f"{self._name}, line {number}"
        try:
            _object.decode(body)
        except UnicodeDecodeError as error:
            raise NotNdjson(f"{where} is not UTF-8: byte {error.start}") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise NotNdjson(f"{where} is not a JSON object: {error}") from None


@contextmanager
def open_lines(name: str, longest: int) -> Iterator[Lines]:
    """Open a file (`-` is stdin) whose lines have at most `longest` bytes. Raises OSError."""
    if name == "-":
        yield Lines("stdin", sys.stdin.buffer, sys.stdin.buffer, None, longest)
        return
    path = Path(name)
    with path.open("rb") as stored:
        gzipped = stored.read(2) == b"\x1f\x8b"
        stored.seek(0)
        lines = cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if gzipped else stored
        yield Lines(name, stored, lines, path.stat().st_size, longest)
