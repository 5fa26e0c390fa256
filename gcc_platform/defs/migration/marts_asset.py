"""migration/shadow_marts: the marts built from both sides, and whether they are the same."""

import asyncio
from collections.abc import Iterator, Sequence

import dagster as dg

from gcc_platform.defs.migration import gates, keys
from gcc_platform.migration.comparing_marts import Compared, compare_marts
from gcc_platform.migration.gates import checked
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.phases import history
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import connect
from gcc_platform.migration.settings import MigrationSettings

_NAMES = (checked.MARTS_AGREE,)


@dg.asset(
    key=keys.SHADOW_MARTS,
    group_name=keys.GROUP,
    kinds={"dbt", "clickhouse"},
    owners=["team:platform"],
    deps=[keys.parity(table) for table in LEGACY_TABLES],
    check_specs=gates.specs(keys.SHADOW_MARTS, _NAMES, blocking=True),
    description="The marts of the last GCC_MIGRATION_MART_DAYS days, built from PostgreSQL's rows and from the events "
    "by the same models, and compared cell by cell.",
)
def shadow_marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Build and compare. The check is a warning until a table is verified."""
    found, phases = asyncio.run(_compare(context))
    yield dg.MaterializeResult(asset_key=keys.SHADOW_MARTS, metadata=_numbers(found))
    gate = checked.marts_agree(found.different, len(found.marts))
    latest = max(phases, key=lambda phase: phase.number, default=Phase.LEGACY)
    yield from gates.check_results(keys.SHADOW_MARTS, [gate], _NAMES, gates.severity(latest))


async def _compare(context: dg.AssetExecutionContext) -> tuple[Compared, Sequence[Phase]]:
    async with connect(MigrationSettings()) as servers:
        tables = await servers.tables([])
        found = await compare_marts(servers, tables, context.log.info, days=servers.settings.mart_days)
        return found, [await history.current(servers.state, table.name) for table in tables]


def _numbers(found: Compared) -> dict[str, int | dg.MarkdownMetadataValue]:
    lines = ["| mart | rows | only of events | only of rows |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {each.name} | {each.rows} | {each.only_of_events} | {each.only_of_rows} |" for each in found.marts]
    return {
        "marts": len(found.marts),
        "marts_different": len(found.different),
        "rows": sum(each.rows for each in found.marts),
        "places": found.places.all,
        "places_different": found.places.all - found.places.same,
        "compared": dg.MetadataValue.md("\n".join(lines)),
    }
