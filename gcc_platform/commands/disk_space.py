"""How full ClickHouse's disks are, by its own account: it may run on another machine."""

from collections.abc import Iterator

from gcc_platform.commands.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.probes.disks import filling

_DISKS = "SELECT name, free_space, total_space FROM system.disks WHERE total_space > 0 AND NOT is_remote"
_GIGABYTE = 10**9


def of_clickhouse(server: ClickHouse, subject: str) -> Iterator[Finding]:
    """Check each local disk by the limits that the watch has. Raises ClickHouseFailed."""
    for name, free, total in server.rows(_DISKS):
        message = f"disk {name}: {free / _GIGABYTE:.1f} of {total / _GIGABYTE:.1f} GB are free ({free / total:.0%})"
        yield Finding(subject, filling(str(name), free, total) is None, message, KINDS["DiskFilling"].do)
