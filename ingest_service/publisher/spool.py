"""A spool of append-only segment files, read oldest first. All calls block: run them in a thread.

A segment is a file in the format of segment.py: NNN.spool while it is written, NNN-COUNT.spool once sealed, so the
number of events is known without reading them. Lower numbers are older. A record counts as spooled after write and
fsync, many records at a time, so it survives both SIGKILL and a crash of the machine. A process never appends to a
segment of an earlier process, so a torn tail cannot affect later records. A damaged file is kept as NNN.damaged after
its readable records have been sent.
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
    """The spool directory cannot be used; the message has the reason."""


class SpoolInUse(SpoolUnusable):
    """Another process uses the spool directory."""


@dataclass
class _File:
    """A segment file, its expected number of records, and its size in bytes."""

    path: Path
    count: int
    size: int


@dataclass(frozen=True)
class Segment:
    """The content of a segment: its records, and the number of missing ones."""

    number: int
    path: Path
    records: Sequence[Record]
    missing: int
    damaged: bool
    """Whether part of the file could not be read; it is then kept."""


class Spool:
    """The spool in a directory, used by this process exclusively until `close`.

    `limit` is the maximum size of all segments together, `segment_size` the target size of one, in bytes.
    """

    def __init__(self, directory: Path, limit: int, segment_size: int) -> None:
        self.directory = directory
        self._limit = limit
        self._segment_size = segment_size
        self._files: dict[int, _File] = {}
        """By number, in reading order."""
        self._last_number = 0
        self._lock = -1
        self._active: int | None = None
        """Number of the segment being appended to; None between segments."""
        self._descriptor = -1
        self.torn: list[tuple[Path, int]] = []
        """Files that did not end with a complete block when the spool was opened, and their trailing bytes."""

    @property
    def count(self) -> int:
        """Number of events, including damaged ones not yet read."""
        return sum(each.count for each in self._files.values())

    def open(self) -> int:
        """Lock the directory, creating it if missing, and count its events. Raises SpoolUnusable or SpoolInUse.

        Only unsealed files are read, and of those in the current format only the end.
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
                f"another process uses the spool directory {self.directory}: give every process its own"
            ) from None
        except OSError as error:
            self.close()
            raise SpoolUnusable(
                f"the spool directory {self.directory} cannot be used: {error}. "
                "It must be a directory writable by this user, on a disk with free space"
            ) from None
        return self.count

    def append(self, records: Sequence[Record], *, beyond_limit: bool = False) -> int:
        """Append as many of the records as fit, from the first on, and return their number.

        `beyond_limit` is for records accepted earlier, which would be lost otherwise. Raises OSError if nothing could
        be written; the spool is then unchanged.
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
        """Read the oldest segment, sealing it if active. None if the spool is empty. Raises OSError."""
        number = next(iter(self._files), None)
        if number is None:
            return None
        if number == self._active:
            self.seal()
        file = self._files[number]
        found = read(file.path.read_bytes(), file.count)
        return Segment(number, file.path, found.records, found.missing, found.damaged)

    def postpone(self) -> Path:
        """Move the oldest segment, which cannot be read now, to the end of the reading order and return its path."""
        number = next(iter(self._files))
        file = self._files[number] = self._files.pop(number)
        return file.path

    def remove(self, segment: Segment) -> None:
        """Delete a segment whose events are all confirmed or appended again.

        A damaged one is kept under another name. Raises OSError; the file is then found again at the next open.
        """
        file = self._files.pop(segment.number)
        if segment.damaged:
            file.path.rename(self._damaged(segment.number))
        else:
            file.path.unlink(missing_ok=True)

    def hand_over(self, other: "Spool") -> int:
        """Move the oldest segment of this non-empty spool to another and return its event count. Raises OSError."""
        number = next(iter(self._files))
        file = self._files[number]
        other.adopt(file.path, file.count, file.size)
        del self._files[number]
        with suppress(OSError):
            _sync_directory(self.directory)
        return file.count

    def adopt(self, path: Path, count: int, size: int) -> None:
        """Move a sealed file of another spool to the end of this one. Raises OSError."""
        number = self._last_number + 1
        # Atomic: after a crash, the file is in exactly one of the two.
        self._files[number] = _File(path.rename(self._sealed(number, count)), count, size)
        self._last_number = number
        with suppress(OSError):
            _sync_directory(self.directory)

    def seal(self) -> None:
        """Seal the active segment, if there is one."""
        if self._active is None:
            return
        number, self._active = self._active, None
        file = self._files[number]
        os.close(self._descriptor)
        if file.count:
            with suppress(OSError):  # its last tail has the count as well
                file.path = file.path.rename(self._sealed(number, file.count))

    def close(self) -> None:
        """Seal the active segment and unlock the directory."""
        self.seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def disown(self) -> None:
        """Release the parent process's descriptors after a fork, without touching its files."""
        for descriptor in (self._descriptor if self._active is not None else -1, self._lock):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)  # a flock is held until its last copy is closed
        self._active, self._lock = None, -1
        self._files.clear()

    def _find(self, path: Path) -> None:
        first, _, count = path.stem.partition("-")
        if not first.isdecimal() or (count and not count.isdecimal()):
            return  # not a spool file
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
        """Count the events in an unsealed file. A spool file without events is deleted."""
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
            _sync_directory(self.directory)  # or the directory entry could be lost in a crash
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
            # A failed fsync is not retried: the kernel may have dropped the dirty pages.
            with suppress(OSError):
                os.ftruncate(self._descriptor, file.size)
            self._discard()
            raise
        file.count += count
        file.size += len(content)

    def _discard(self) -> None:
        """Seal the active segment after an error, and delete it if it is empty."""
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
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
