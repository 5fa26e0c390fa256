"""A disk in memory that can really be full."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_ROOM = 2 << 30  # an hour of chaos with room to spare; only what is written takes memory


@cache
def why_not() -> str:
    """Why none can be mounted here; nothing where one can."""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            subprocess.run(["umount", folder], check=True)
            return ""
        return f"a full disk takes a tmpfs, and none can be mounted here: {tried.stderr.strip()}"


class Tmpfs:
    """Mounted at a folder where that is possible, else the folder is as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mounted = False

    def mount(self, room: int = _ROOM) -> None:
        """Before anything is in the folder."""
        if not why_not():
            self.folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", self.folder], check=True)
            self._mounted = True

    def unmount(self) -> None:
        """When nobody has a file open there."""
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=True)

    def fill(self) -> None:
        """Leave no byte: the disk becomes as small as what is on it, again until that is so."""
        while self._free():
            at = os.statvfs(self.folder)
            used = max(1, at.f_blocks - at.f_bfree) * at.f_frsize
            # Somebody may have written meanwhile: then it is refused.
            subprocess.run(["mount", "-o", f"remount,size={used}", self.folder], check=False, capture_output=True)

    def empty(self, room: int = _ROOM) -> None:
        """Make room again."""
        if self._mounted:
            subprocess.run(["mount", "-o", f"remount,size={room}", self.folder], check=True)

    def _free(self) -> int:
        return os.statvfs(self.folder).f_bfree
