"""Locations for a process's spool: a dedicated directory, or a free numbered directory in a shared folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ingest_service.publisher.spool import Spool, SpoolInUse, SpoolUnusable

_MOST_PROCESSES = 1_000


@dataclass(frozen=True)
class TakenOver:
    """The result of taking over a spool of a dead process."""

    events: int = 0
    """Number of events moved into the spool of this process."""
    torn: Sequence[tuple[Path, int]] = ()
    """See Spool.torn."""
    troubles: Sequence[str] = ()
    """Errors, one per directory whose events could not be moved."""


class Place(Protocol):
    """The location of this process's spool. All calls block."""

    def open(self) -> Spool:
        """Open the spool. Raises SpoolUnusable or SpoolInUse."""

    def take_over(self, own: Spool) -> TakenOver:
        """Move one segment left by a dead process into `own`, if there is one."""


@dataclass(frozen=True)
class Directory:
    """A directory dedicated to one process."""

    path: Path
    limit: int
    segment_size: int

    def open(self) -> Spool:
        """Open the spool in it."""
        spool = Spool(self.path, self.limit, self.segment_size)
        spool.open()
        return spool

    def take_over(self, own: Spool) -> TakenOver:  # noqa: ARG002
        """Do nothing: no other process uses the directory."""
        return TakenOver()


@dataclass(frozen=True)
class Shared:
    """A folder in which every process takes the first free numbered directory: 0, 1, ...

    When a process dies, the lock on its directory is released, and any running process takes over its segments: one at
    a time, holding the lock, so that no two processes take the same one and none starts to write there.
    """

    folder: Path
    limit: int
    segment_size: int

    def open(self) -> Spool:
        """Open the spool in the first free, usable directory. Raises SpoolUnusable if there is none."""
        trouble: SpoolUnusable | None = None
        for number in range(_MOST_PROCESSES):
            spool = Spool(self.folder / str(number), self.limit, self.segment_size)
            try:
                spool.open()
            except SpoolInUse:
                continue
            except SpoolUnusable as error:
                trouble = trouble or error  # it may belong to another user: try the next one
            else:
                return spool
        raise trouble or SpoolInUse(f"all {_MOST_PROCESSES} spools in {self.folder} are in use")

    def take_over(self, own: Spool) -> TakenOver:
        """Move the oldest segment of an unlocked directory into `own`."""
        torn: list[tuple[Path, int]] = []
        troubles: list[str] = []
        for directory in self._others(own, troubles):
            other = Spool(directory, self.limit, self.segment_size)
            try:
                found = other.open() if _has_segments(directory) else 0
                torn += other.torn
                if found:
                    return TakenOver(other.hand_over(own), torn, troubles)
            except SpoolInUse:
                continue
            except (SpoolUnusable, OSError) as error:
                troubles.append(f"events that a dead process left in {directory} cannot be taken over: {error}")
            finally:
                other.close()
        return TakenOver(0, torn, troubles)

    def _others(self, own: Spool, troubles: list[str]) -> list[Path]:
        """The other numbered directories, in order."""
        try:
            found = [each for each in self.folder.iterdir() if each.name.isdecimal() and each != own.directory]
        except OSError as error:
            troubles.append(f"the spool folder {self.folder} cannot be read: {error}")
            return []
        return sorted(found, key=lambda each: int(each.name))


def _has_segments(directory: Path) -> bool:
    with os.scandir(directory) as entries:  # unlike glob, it raises if the directory is not readable
        return any(each.name.endswith(".spool") for each in entries)
