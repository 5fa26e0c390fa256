"""How much memory there is for the local servers."""

import os
from pathlib import Path

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available() -> int:
    """The machine's memory, or a container's limit, in bytes."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in _LIMITS:
        try:
            sizes.append(int(limit.read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return min(sizes)
