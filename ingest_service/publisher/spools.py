"""Where a process keeps its spool: in a directory of its own, or in one of the numbered ones that processes share."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ingest_service.publisher.spool import Spool, SpoolInUse, SpoolUnusable

_MOST_PROCESSES = 1_000


@dataclass(frozen=True)
class TakenOver:
    """What was found in the spools of processes that are gone."""

    events: int = 0
    """How many were moved into the spool of this process."""
    torn: Sequence[tuple[Path, int]] = ()
    """As Spool.torn."""
    troubles: Sequence[str] = ()
    """Why some could not be moved, naming their directory."""


class Place(Protocol):
    """Where the spool of this process is. Everything blocks."""

    def open(self) -> Spool:
        """The spool, open. Raises SpoolUnusable or SpoolInUse."""

    def take_over(self, own: Spool) -> TakenOver:
        """Move one segment that a process has left behind into `own`, if there is one."""


@dataclass(frozen=True)
class Directory:
    """A directory that is given to one process."""

    path: Path
    limit: int
    segment_size: int

    def open(self) -> Spool:
        """The spool in it."""
        spool = Spool(self.path, self.limit, self.segment_size)
        spool.open()
        return spool

    def take_over(self, own: Spool) -> TakenOver:  # noqa: ARG002
        """Nothing: there is no other."""
        return TakenOver()


@dataclass(frozen=True)
class Shared:
    """A folder in which every process takes the first numbered directory that is free: 0, 1, ...

    When a process is gone, the lock of its directory is free, and whoever runs takes over the segments in it: one at a
    time, holding the lock meanwhile, so no two processes take the same and none begins to write there.
    """

    folder: Path
    limit: int
    segment_size: int

    def open(self) -> Spool:
        """The spool in the first directory that is free and can be used. Raises SpoolUnusable if there is none."""
        trouble: SpoolUnusable | None = None
        for number in range(_MOST_PROCESSES):
            spool = Spool(self.folder / str(number), self.limit, self.segment_size)
            try:
                spool.open()
            except SpoolInUse:
                continue
            except SpoolUnusable as error:
                trouble = trouble or error  # it may be the directory of another user: the next one may be ours
            else:
                return spool
        raise trouble or SpoolInUse(f"all {_MOST_PROCESSES} spools in {self.folder} are in use")

    def take_over(self, own: Spool) -> TakenOver:
        """Move the oldest segment of a directory that nobody uses into `own`."""
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
                troubles.append(f"events that a process has left in {directory} cannot be taken over: {error}")
            finally:
                other.close()
        return TakenOver(0, torn, troubles)

    def _others(self, own: Spool, troubles: list[str]) -> list[Path]:
        """The numbered directories of others, in order."""
        try:
            found = [each for each in self.folder.iterdir() if each.name.isdecimal() and each != own.directory]
        except OSError as error:
            troubles.append(f"the folder of spools {self.folder} cannot be read: {error}")
            return []
        return sorted(found, key=lambda each: int(each.name))


def _has_segments(directory: Path) -> bool:
    with os.scandir(directory) as entries:  # unlike glob, it says when it may not look
        return any(each.name.endswith(".spool") for each in entries)
