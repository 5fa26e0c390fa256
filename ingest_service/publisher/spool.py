"""Events on disk in append-only segment files, oldest first. Everything here blocks: it is for a thread.

A segment is a file NNN.spool in the form of record.py; lower numbers are older. A record counts as spooled when it is
written and synced (fsync) to disk, many records at a time, so it survives SIGKILL and a crash of the machine alike. A
process never appends to a segment of an earlier one: a torn tail stays where it is and harms nothing after it.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest_service.publisher.record import MAGIC, Record, packed, unpacked


class SpoolUnusable(Exception):
    """The spool directory cannot be used; the message says why."""


class SpoolInUse(SpoolUnusable):
    """Another process has the spool directory."""


@dataclass
class _File:
    """A segment that is there: how many records it should hold, and its size in bytes."""

    count: int
    size: int


@dataclass(frozen=True)
class Segment:
    """A segment that has been read: its records, and how many more it should have held."""

    number: int
    records: Sequence[Record]
    missing: int


class Spool:
    """The spool in a directory, which this process alone uses until `close`.

    `limit` is what all segments together may have, `segment_size` what one should have, in bytes.
    """

    def __init__(self, directory: Path, limit: int, segment_size: int) -> None:
        self._directory = directory
        self._limit = limit
        self._segment_size = segment_size
        self._files: dict[int, _File] = {}
        self._last_number = 0
        self._lock = -1
        self._active: int | None = None
        """The number of the segment that is appended to; None between segments."""
        self._descriptor = -1
        self.torn: list[tuple[Path, int]] = []
        """Files that did not end with a whole record when the spool was opened, and how many bytes were left over."""

    def open(self) -> int:
        """Lock the directory, made if need be, and count the events in it. Raises SpoolUnusable or SpoolInUse."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in sorted(self._directory.glob("*.spool")):
                self._find(path)
        except BlockingIOError:
            self.close()
            raise SpoolInUse(
                f"another process uses the spool directory {self._directory}: give every process one of its own"
            ) from None
        except OSError as error:
            self.close()
            raise SpoolUnusable(f"the spool directory {self._directory} cannot be used: {error}") from None
        return sum(each.count for each in self._files.values())

    def append(self, records: Sequence[Record], *, beyond_limit: bool = False) -> int:
        """Write records behind all others; how many there was room for, from the first one on.

        `beyond_limit` is for records that have been accepted before and would be lost. Raises OSError if nothing could
        be written; the spool is then as before.
        """
        taken = records if beyond_limit else self._fitting(records)
        if not taken:
            return 0
        if self._active is None or self._files[self._active].size >= self._segment_size:
            self.seal()
            self._start()
        self._write(packed(taken), len(taken))
        return len(taken)

    def oldest(self) -> Segment | None:
        """Read the oldest segment; nothing is appended to it any more. None if there is none. Raises OSError."""
        if not self._files:
            return None
        number = min(self._files)
        if number == self._active:
            self.seal()
        records = unpacked(self._path(number).read_bytes()).records
        return Segment(number, records, max(0, self._files[number].count - len(records)))

    def remove(self, number: int) -> None:
        """Delete a segment: all of its events are confirmed, or written again behind the others. Raises OSError."""
        self._path(number).unlink(missing_ok=True)
        del self._files[number]

    def seal(self) -> None:
        """End the segment that is appended to, if there is one."""
        if self._active is not None:
            os.close(self._descriptor)
            self._active = None

    def close(self) -> None:
        """Leave the directory to the next process."""
        self.seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _find(self, path: Path) -> None:
        try:
            number = int(path.stem)
        except ValueError:
            return  # not ours
        self._last_number = max(self._last_number, number)
        content = path.read_bytes()
        read = unpacked(content)
        if read.torn_bytes:
            self.torn.append((path, read.torn_bytes))
        if read.records:
            self._files[number] = _File(len(read.records), len(content))
        elif content[: len(MAGIC)] == MAGIC[: len(content)]:
            path.unlink()  # nothing whole is in it; a file that is not ours is left alone

    def _fitting(self, records: Sequence[Record]) -> Sequence[Record]:
        room = self._limit - sum(each.size for each in self._files.values())
        for position, record in enumerate(records):
            room -= len(record.body)
            if room < 0:
                return records[:position]
        return records

    def _start(self) -> None:
        number = self._last_number = self._last_number + 1
        self._descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._active = number
        self._files[number] = _File(0, 0)
        try:
            self._write(MAGIC, 0)
            _sync_directory(self._directory)  # or the file's name could be gone after a crash
        except OSError:
            self._discard()
            raise

    def _write(self, content: bytes, count: int) -> None:
        assert self._active is not None
        file = self._files[self._active]
        try:
            _write_all(self._descriptor, content)
            os.fsync(self._descriptor)
        except OSError:
            # Half a record in the middle would hide all that follow. What an fsync could not do is not tried again:
            # the kernel may have thrown the pages away.
            with suppress(OSError):
                os.ftruncate(self._descriptor, file.size)
            self._discard()
            raise
        file.count += count
        file.size += len(content)

    def _discard(self) -> None:
        """End the active segment after an error, and forget it if nothing is in it."""
        number = self._active
        self.seal()
        if number is not None and not self._files[number].count:
            with suppress(OSError):
                self.remove(number)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:020d}.spool"


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
