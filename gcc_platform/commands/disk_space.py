"""How full ClickHouse's disks are, by its own account: it may run on another machine."""

from collections.abc import Iterator

from gcc_platform.commands.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.probes.disks import filling, room

_DISKS = "SELECT name, free_space, total_space FROM system.disks WHERE total_space > 0 AND NOT is_remote"


def of_clickhouse(server: ClickHouse, subject: str) -> Iterator[Finding]:
    """Check each local disk by the limits that the watch has. Raises ClickHouseFailed."""
    for name, free, total in server.rows(_DISKS):
        is_well = filling(str(name), free, total) is None
        yield Finding(subject, is_well, f"disk {room(str(name), free, total)}", KINDS["DiskFilling"].do)
