"""Checks of the raw tables: whether new rows arrive, and the share of duplicates. One query each, for all tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.materializations import last_reported
from gcc_platform.defs.raw.table_stats import Arrivals, Duplicates, arrivals, duplicates
from gcc_platform.defs.resources import ClickHouseResource
from ingest_service.events.contract import EventType

_DUPLICATES_WINDOW = timedelta(hours=1)
_DUPLICATES_LIMIT = 0.01
"""Redelivery after a crash causes a few duplicates, which merges and staging collapse; more need an explanation."""


def _specs(event_type: EventType) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        "freshness",
        asset=tables.key(event_type),
        description=f"{event_type.table} got rows within its freshness limit. If not: is gcc-ingest running, and "
        f"does {event_type.queue} have messages?",
    )
    yield dg.AssetCheckSpec(
        "duplicates",
        asset=tables.key(event_type),
        description=f"Less than {_DUPLICATES_LIMIT:.0%} of the last hour's rows of {event_type.table} repeat an event "
        "that is stored already. Duplicates do no harm: staging reads each event once.",
    )


@dg.multi_asset_check(
    name="raw_checks",
    can_subset=True,
    specs=[spec for event_type in tables.BY_KEY.values() for spec in _specs(event_type)],
)
def raw_checks(context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource) -> Iterator[dg.AssetCheckResult]:
    """Check the selected tables with one query for their ages and one for their duplicates."""
    selected = sorted({check.asset_key for check in context.selected_asset_check_keys})
    reported = last_reported(context.instance, selected)
    now = datetime.now(UTC)
    with clickhouse.connect(check="raw_checks", run_id=context.run.run_id) as connection:
        arrived = arrivals(connection, reported)
        repeated = duplicates(connection, selected, _DUPLICATES_WINDOW)
    for key in selected:
        for result in (_freshness(key, arrived.get(key), now), _duplicates(key, repeated.get(key, Duplicates(0, 0)))):
            if dg.AssetCheckKey(key, str(result.check_name)) in context.selected_asset_check_keys:
                yield result


def _freshness(key: dg.AssetKey, arrived: Arrivals | None, now: datetime) -> dg.AssetCheckResult:
    passed, description, metadata = _evaluate(tables.BY_KEY[key], arrived, now)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="freshness",
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def _evaluate(
    event_type: EventType, arrived: Arrivals | None, now: datetime
) -> tuple[bool, str, dict[str, int | float]]:
    if arrived is None:
        return False, f"{event_type.table} does not exist: gcc-ingest init creates it", {}
    if arrived.newest_insert is None or arrived.newest_event is None:
        return True, "no event has ever arrived", {"rows": 0}
    age = now - arrived.newest_insert
    limits = tables.freshness(event_type)
    limit = limits and (limits[0] or limits[1])
    description = f"the newest row arrived {_minutes(age):.0f} minutes ago"
    numbers = {
        "rows": arrived.rows,
        "minutes_since_insert": round(_minutes(age), 1),
        "minutes_since_event": round(_minutes(now - arrived.newest_event), 1),
    }
    if limit is None:
        return True, description, numbers
    return age <= limit, f"{description}, the limit is {_minutes(limit):.0f}", numbers


def _duplicates(key: dg.AssetKey, recent: Duplicates) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="duplicates",
        passed=recent.share < _DUPLICATES_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{recent.rows - recent.events} of the last hour's {recent.rows} rows are duplicates",
        metadata={"rows": recent.rows, "events": recent.events, "share": round(recent.share, 6)},
    )


def _minutes(duration: timedelta) -> float:
    return duration.total_seconds() / 60
