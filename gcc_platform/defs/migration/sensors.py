"""A sensor that looks every minute how far the migration's daemons are."""

import asyncio
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import dagster as dg

from gcc_platform.defs.migration import gates, keys, status_asset
from gcc_platform.defs.reported import PASSED, REPEAT_SECONDS, Reported
from gcc_platform.migration.gates import measured
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.phases import deciding
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import connect
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.migration.status import TableStatus, status

_Event = dg.AssetObservation | dg.AssetCheckEvaluation | dg.AssetMaterialization
_Seen = tuple[TableStatus, Sequence[GateResult]]


@dg.sensor(
    name="migration_lags",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks every minute how far each old table is. Reports what changed, and every 15 minutes everything.",
)
def migration_lags(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Report what has changed, and every 15 minutes everything. It requests no runs."""
    reported = Reported.from_cursor(context.cursor)
    events = list(_news(reported, asyncio.run(_look())))
    return dg.SensorResult(
        asset_events=events,
        cursor=reported.as_cursor(),
        skip_reason=f"This sensor requests no runs. It reported {len(events)} observations and results of checks.",
    )


def _news(reported: Reported, seen: Sequence[_Seen]) -> Iterator[_Event]:
    for each, found in seen:
        if reported.is_news(each.table, PASSED):
            yield from _observations(each)
        for result in found:
            if reported.is_news(f"{each.table} {result.gate}", PASSED if result.passed else "failed"):
                yield gates.evaluation(each.table, result)
    tables = [each for each, _ in seen]
    if tables and reported.is_news("status", status_asset.news(tables), repeat_seconds=REPEAT_SECONDS[True]):
        yield status_asset.materialization(tables)


def results(selected: AbstractSet[dg.AssetCheckKey]) -> Iterator[dg.AssetCheckResult]:
    """The selected checks, measured now. A table whose backfill is not planned has none."""
    for each, found in asyncio.run(_look()):
        for result in found:
            key = dg.AssetKey([keys.GROUP, f"{each.table}_{gates.OF_DAEMONS[result.gate]}"])
            if dg.AssetCheckKey(key, result.gate) in selected:
                yield from gates.check_results(key, [result], [result.gate], dg.AssetCheckSeverity.WARN)


async def _look() -> Sequence[_Seen]:
    """Every log whose backfill is planned, with the gates of its daemons."""
    async with connect(MigrationSettings()) as servers:
        logs = [each for each in await status(servers.state) if not each.is_series]
        measuring = [deciding.during(servers.measuring(LEGACY_TABLES[each.table]), Phase(each.phase)) for each in logs]
        return [(each, await _measured(where)) for each, where in zip(logs, measuring, strict=True)]


async def _measured(measuring: measured.Measuring) -> Sequence[GateResult]:
    found = [await measured.tail_caught_up(measuring)]
    if measuring.table.name in keys.REVERSED:
        found.append(await measured.reverse_caught_up(measuring))
    return found


def _observations(each: TableStatus) -> Iterator[dg.AssetObservation]:
    yield dg.AssetObservation(
        keys.tail(each.table),
        metadata={"rows": each.tail_rows, "lag_seconds": each.tail_lag_seconds or 0.0, "gap_ids": each.gaps},
    )
    if each.reverse_rows is not None:
        yield dg.AssetObservation(
            keys.reverse(each.table),
            metadata={"rows": each.reverse_rows, "lag_seconds": each.reverse_lag_seconds or 0.0},
        )
