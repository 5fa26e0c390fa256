"""All definitions of the migration; none while no company moves over."""

from collections.abc import Iterable, Iterator

import dagster as dg

from gcc_platform.defs.migration import jobs, marts_asset, sensors, status_asset, table_assets
from gcc_platform.migration.legacy_tables import LEGACY_TABLES


def definitions(*, is_on: bool) -> dg.Definitions:
    """The assets of every old table, their checks, and the jobs."""
    if not is_on:
        return dg.Definitions()
    tables = list(LEGACY_TABLES.values())
    return dg.Definitions(
        assets=[
            *_flat(table_assets.assets_of(table) for table in tables),
            marts_asset.shadow_marts,
            status_asset.asset,
        ],
        asset_checks=[_reported_by_the_sensor()],
        jobs=[jobs.migration_backfill, jobs.migration_nightly, jobs.migration_advance],
        schedules=[jobs.nightly, jobs.slices],
        sensors=[sensors.migration_lags],
    )


def _reported_by_the_sensor() -> dg.AssetChecksDefinition:
    """The checks of the daemons; run by hand, they are measured now."""
    specs = [spec for table in LEGACY_TABLES.values() for spec in table_assets.daemon_checks(table)]

    @dg.multi_asset_check(name="check_migration_daemons", specs=specs, can_subset=True)
    def check_migration_daemons(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        yield from sensors.results(context.selected_asset_check_keys)

    return check_migration_daemons


def _flat(
    groups: Iterable[Iterable[dg.AssetsDefinition | dg.AssetSpec]],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    return [each for group in groups for each in group]
