"""Events on disk in append-only segment files, oldest first. Everything here blocks: it is for a thread.

A segment is a file in the form of segment.py: NNN.spool while it is written, NNN-COUNT.spool when it is sealed, so that
how many events there are is known without reading them. Lower numbers are older. A record counts as spooled when it is
written and synced (fsync) to disk, many records at a time, so it survives SIGKILL and a crash of the machine alike. A
process never appends to a segment of an earlier one: a torn tail stays where it is and harms nothing after it. A file
with damage is kept as NNN.damaged when what is whole in it has been sent.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest_service.publisher.record import Record
from ingest_service.publisher.segment import MAGIC, OLD_MAGIC, TAIL_BYTES, counted, packed, read


class SpoolUnusable(Exception):
    """The spool directory cannot be used; the message says why."""


class SpoolInUse(SpoolUnusable):
    """Another process has the spool directory."""


@dataclass
class _File:
    """A segment that is there: how many records it should hold, and its size in bytes."""

    path: Path
    count: int
    size: int


@dataclass(frozen=True)
class Segment:
    """A segment that has been read: its records, and how many more it should have held."""

    number: int
    path: Path
    records: Sequence[Record]
    missing: int
    damaged: bool
    """Whether the file is worth keeping: something in it could not be read."""


class Spool:
    """The spool in a directory, which this process alone uses until `close`.

    `limit` is what all segments together may have, `segment_size` what one should have, in bytes.
    """

    def __init__(self, directory: Path, limit: int, segment_size: int) -> None:
        self.directory = directory
        self._limit = limit
        self._segment_size = segment_size
        self._files: dict[int, _File] = {}
        """In the order in which they are to be read."""
        self._last_number = 0
        self._lock = -1
        self._active: int | None = None
        """The number of the segment that is appended to; None between segments."""
        self._descriptor = -1
        self.torn: list[tuple[Path, int]] = []
        """Files that did not end with a whole record when the spool was opened, and how many bytes were left over."""

    @property
    def count(self) -> int:
        """How many events are in it, those included that turn out to be damaged when they are read."""
        return sum(each.count for each in self._files.values())

    def open(self) -> int:
        """Lock the directory, made if need be, and count the events in it. Raises SpoolUnusable or SpoolInUse.

        Only files that were not sealed are read, and of those of today's form only the end.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in sorted((*self.directory.glob("*.spool"), *self.directory.glob("*.damaged"))):
                self._find(path)
        except BlockingIOError:
            self.close()
            raise SpoolInUse(
                f"another process uses the spool directory {self.directory}: give every process one of its own"
            ) from None
        except OSError as error:
            self.close()
            raise SpoolUnusable(
                f"the spool directory {self.directory} cannot be used: {error}. "
                "It takes a directory that this user may write to, on a disk with room"
            ) from None
        return self.count

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
        assert self._active is not None
        self._write(packed(taken, self._files[self._active].count), len(taken))
        return len(taken)

    def oldest(self) -> Segment | None:
        """Read the oldest segment; nothing is appended to it any more. None if there is none. Raises OSError."""
        number = next(iter(self._files), None)
        if number is None:
            return None
        if number == self._active:
            self.seal()
        file = self._files[number]
        found = read(file.path.read_bytes(), file.count)
        return Segment(number, file.path, found.records, found.missing, found.damaged)

    def postpone(self) -> Path:
        """Read the oldest segment after all others, because it cannot be read now; its path."""
        number = next(iter(self._files))
        file = self._files[number] = self._files.pop(number)
        return file.path

    def remove(self, segment: Segment) -> None:
        """Delete a segment: all of its events are confirmed, or written again behind the others.

        A damaged one is kept under another name. Raises OSError; then the file is there when the spool is next opened.
        """
        file = self._files.pop(segment.number)
        if segment.damaged:
            file.path.rename(self._damaged(segment.number))
        else:
            file.path.unlink(missing_ok=True)

    def hand_over(self, other: "Spool") -> int:
        """Move the oldest segment of this spool, which is not empty, to another; its events. Raises OSError."""
        number = next(iter(self._files))
        file = self._files[number]
        other.adopt(file.path, file.count, file.size)
        del self._files[number]
        with suppress(OSError):
            _sync_directory(self.directory)
        return file.count

    def adopt(self, path: Path, count: int, size: int) -> None:
        """Move a sealed file of another spool here, behind all others. Raises OSError."""
        number = self._last_number + 1
        # Atomic: whatever happens, it is in one of the two.
        self._files[number] = _File(path.rename(self._sealed(number, count)), count, size)
        self._last_number = number
        with suppress(OSError):
            _sync_directory(self.directory)

    def seal(self) -> None:
        """End the segment that is appended to, if there is one."""
        if self._active is None:
            return
        number, self._active = self._active, None
        file = self._files[number]
        os.close(self._descriptor)
        if file.count:
            with suppress(OSError):  # then its last tail tells the count
                file.path = file.path.rename(self._sealed(number, file.count))

    def close(self) -> None:
        """Leave the directory to the next process."""
        self.seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def disown(self) -> None:
        """Let go of what belongs to the process that this one was forked from, without touching its files."""
        for descriptor in (self._descriptor if self._active is not None else -1, self._lock):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)  # a lock of flock stays until its last copy is closed
        self._active, self._lock = None, -1
        self._files.clear()

    def _find(self, path: Path) -> None:
        first, _, count = path.stem.partition("-")
        if not first.isdecimal() or (count and not count.isdecimal()):
            return  # not ours
        number = int(first)
        self._last_number = max(self._last_number, number)
        if path.suffix != ".spool":
            return
        size = path.stat().st_size
        if count:
            self._files[number] = _File(path, int(count), size)
        elif found := self._count(path, size):
            self._files[number] = _File(path.rename(self._sealed(number, found)), found, size)

    def _count(self, path: Path, size: int) -> int:
        """How many events are in a file that was not sealed. What holds none is deleted, unless it is not ours."""
        with path.open("rb") as file:
            if file.read(len(OLD_MAGIC)) != OLD_MAGIC and size >= TAIL_BYTES:
                file.seek(-TAIL_BYTES, os.SEEK_END)
                if total := counted(file.read()):
                    return total
        content = path.read_bytes()
        found = read(content)
        ours = any(content[: len(magic)] == magic[: len(content)] for magic in (MAGIC, OLD_MAGIC))
        total = len(found.records) + found.missing
        if found.torn_bytes and (ours or total):
            self.torn.append((path, found.torn_bytes))
        if not total and ours:
            path.unlink()
        return total

    def _fitting(self, records: Sequence[Record]) -> Sequence[Record]:
        room = self._limit - sum(each.size for each in self._files.values())
        for position, record in enumerate(records):
            room -= len(record.body)
            if room < 0:
                return records[:position]
        return records

    def _start(self) -> None:
        number = self._last_number = self._last_number + 1
        path = self.directory / f"{number:020d}.spool"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._active = number
        self._files[number] = _File(path, 0, 0)
        try:
            self._write(MAGIC, 0)
            _sync_directory(self.directory)  # or the file's name could be gone after a crash
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
            # What an fsync could not do is not tried again: the kernel may have thrown the pages away.
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
                self._files.pop(number).path.unlink(missing_ok=True)

    def _sealed(self, number: int, count: int) -> Path:
        return self.directory / f"{number:020d}-{count}.spool"

    def _damaged(self, number: int) -> Path:
        return self.directory / f"{number:020d}.damaged"


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
