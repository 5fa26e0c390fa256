"""A comparison of the marts: PostgreSQL's rows are mirrored, marts are built from both sides, and compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gcc_platform.migration.gates import checked, results
from gcc_platform.migration.horizon import reported_once
from gcc_platform.migration.legacy_table import EARLIEST, LegacyTable
from gcc_platform.migration.mirror import Mirror
from gcc_platform.migration.parity import cut, marts, shadow_build
from gcc_platform.migration.parity.cut import Cut
from gcc_platform.migration.parity.marts import Mart, Places
from gcc_platform.migration.servers import Servers

_SETTLED = timedelta(hours=1)
"""Older events have arrived on both sides."""


@dataclass(frozen=True)
class Compared:
    """What a comparison found."""

    marts: Sequence[Mart]
    places: Places
    """On leaderboards."""

    @property
    def different(self) -> Sequence[str]:
        """The names of the marts that are not the same."""
        return [each.name for each in self.marts if not each.is_equal]


async def compare_marts(
    servers: Servers,
    tables: Sequence[LegacyTable],
    report: Callable[[str], None],
    *,
    until: datetime | None = None,
    days: int = 0,
) -> Compared:
    """Compare the marts that depend on these tables, and record the gate of each table.

    `until` is where both sides are cut, by default an hour ago; `days` is how long before the cut begins, 0 for all
    that there is. `report` is called with what is done next. Raises UserError and psycopg.Error.
    """
    end = until or datetime.now(UTC) - _SETTLED
    since = end - timedelta(days=days) if days else datetime.fromisoformat(EARLIEST)
    for table in tables:
        report(f"mirroring {table.name}")
        mirror = Mirror(servers.state, servers.old, servers.clickhouse, table, servers.database)
        await mirror.catch_up(reported_once(table.name, report))
    await cut.make(servers.clickhouse, Cut(since, end), tables)
    report("building the marts of both sides")
    await shadow_build.build(servers.clickhouse, servers.settings.clickhouse, tables)
    report("comparing them")
    found = await marts.compare(servers.clickhouse)
    compared = Compared(found, await marts.places(servers.clickhouse))
    gate = checked.marts_agree(compared.different, len(found))
    for table in tables:
        await results.record(servers.state, table.name, [gate])
    return compared
