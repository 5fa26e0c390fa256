"""Reading events from a file of JSON objects, one a line (.gz too, `-` is stdin)."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NotNdjson(Exception):
    """A line is not a JSON object; the message names the file and the line."""


class Lines:
    """The lines of a file, and how far reading has come."""

    def __init__(self, name: str, compressed: BinaryIO, lines: BinaryIO, size: int | None) -> None:
        self._name = name
        self._compressed = compressed
        self._lines = lines
        self.size = size
        """Bytes of the file as it is stored; None for a stream."""

    @property
    def position(self) -> int:
        """Bytes read so far, of `size`."""
        return self._compressed.tell() if self.size is not None else 0

    def __iter__(self) -> Iterator[bytes]:
        """Each line that is not blank. Raises NotNdjson for one that is not a JSON object."""
        try:
            for number, line in enumerate(self._lines, start=1):
                if body := line.strip():
                    self._check(number, body)
                    yield body
        except (gzip.BadGzipFile, EOFError) as error:
            raise NotNdjson(f"{self._name} is not a whole gzip file: {error}") from None

    def _check(self, number: int, body: bytes) -> None:
        try:
            _object.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            start = body[:60].decode(errors="replace")
            raise NotNdjson(
                f"{self._name}, line {number} is not a JSON object ({error}); it begins: {start!r}"
            ) from None


@contextmanager
def open_lines(name: str) -> Iterator[Lines]:
    """The lines of a file, `-` for stdin. Raises OSError."""
    if name == "-":
        yield Lines("stdin", sys.stdin.buffer, sys.stdin.buffer, None)
        return
    path = Path(name)
    with path.open("rb") as stored:
        gzipped = stored.read(2) == b"\x1f\x8b"
        stored.seek(0)
        lines = cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if gzipped else stored
        yield Lines(name, stored, lines, path.stat().st_size)
