"""Parts: how many active parts the fullest partition of a raw table has. With too many, inserts are refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse

_MOST = 300
"""ClickHouse slows inserts down at 1,000 (parts_to_delay_insert) and refuses them at 3,000."""

_QUERY = """
SELECT table, max(parts), sum(parts), sum(bytes)
FROM (
    SELECT table, count() AS parts, sum(bytes_on_disk) AS bytes
    FROM system.parts WHERE active AND database = '_e' GROUP BY table, partition
)
GROUP BY table
"""


@dataclass(frozen=True)
class Parts:
    """A table's active parts."""

    in_fullest_partition: int = 0
    count: int = 0
    size: int = 0
    """In bytes."""


def measure(clickhouse: ClickHouse) -> Mapping[str, Parts]:
    """The parts of all tables of `_e` that have any, by table."""
    return {str(table): Parts(int(most), int(count), int(size)) for table, most, count, size in clickhouse.rows(_QUERY)}


def check(parts: Parts) -> Finding:
    """Fails long before inserts are slowed down."""
    return Finding(
        "parts",
        parts.in_fullest_partition <= _MOST,
        f"the fullest partition has {parts.in_fullest_partition} parts, {_MOST} are the limit",
        {"parts_in_partition": parts.in_fullest_partition, "parts": parts.count, "bytes": parts.size},
    )
