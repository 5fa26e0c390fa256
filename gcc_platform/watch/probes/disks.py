"""How full the disks below the platform's own folders are."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from gcc_platform.watch.alerts import Alert, Severity
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.seen import Seen

_WARN_SHARE, _PAGE_SHARE = 0.10, 0.05
_GIGABYTE = 10**9


def look(folders: Iterable[Path]) -> Seen:
    """Look at each file system once. Folders that do not exist are not created by looking."""
    by_device = {folder.stat().st_dev: folder for folder in folders if folder.is_dir()}
    found = []
    for folder in by_device.values():
        usage = shutil.disk_usage(folder)
        found.append(filling(str(folder), usage.free, usage.total))
    return Seen(tuple(filter(None, found)))


def filling(disk: str, free: int, total: int) -> Alert | None:
    """The alert of a disk of which less than a tenth is free; it pages below a twentieth. Sizes are bytes."""
    if free >= total * _WARN_SHARE:
        return None
    severity = Severity.PAGE if free < total * _PAGE_SHARE else Severity.WARN
    return Alert.of(
        KINDS["DiskFilling"],
        room(disk, free, total),
        severity=severity,
        about={"disk": disk},
    )


def room(disk: str, free: int, total: int) -> str:
    """How much of a disk is free, in words. Sizes are bytes."""
    return f"{disk}: {free / _GIGABYTE:.1f} of {total / _GIGABYTE:.1f} GB are free ({free / total:.0%})"
