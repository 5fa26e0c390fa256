"""Whether the raw tables get new rows, and how many of them are copies. One query each, for all tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import reports, tables
from gcc_platform.defs.raw.arrivals import Arrivals, Copies, arrivals, copies
from gcc_platform.defs.resources import ClickHouseResource
from ingest_service.events.contract import EventType

_COPIES_WINDOW = timedelta(hours=1)
_COPIES_LIMIT = 0.01
"""Redelivery after a crash makes a few copies, which merges and staging collapse; more has a cause to be found."""


def _specs(event_type: EventType) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        "recent_arrivals",
        asset=tables.key(event_type),
        description=f"{event_type.table} got rows within its freshness limit. If not: is gcc-ingest running, and "
        f"does {event_type.queue} have messages?",
    )
    yield dg.AssetCheckSpec(
        "copies",
        asset=tables.key(event_type),
        description=f"Less than {_COPIES_LIMIT:.0%} of the last hour's rows of {event_type.table} are copies of "
        "an event that is there already. Copies do no harm: staging reads each event once.",
    )


@dg.multi_asset_check(
    name="raw_checks",
    can_subset=True,
    specs=[spec for event_type in tables.BY_KEY.values() for spec in _specs(event_type)],
)
def raw_checks(context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource) -> Iterator[dg.AssetCheckResult]:
    """Reports what moved, then checks it, by one query for the ages and one for the copies."""
    selected = sorted({check.asset_key for check in context.selected_asset_check_keys})
    already = reports.told(context.instance, selected)
    now = datetime.now(UTC)
    with clickhouse.connect(check="raw_checks", run_id=context.run.run_id) as connection:
        arrived = arrivals(connection, {key: last.newest_insert for key, last in already.items()})
        copied = copies(connection, selected, _COPIES_WINDOW)
    for moved in reports.materializations(arrived, already, told_before=now):
        context.instance.report_runless_asset_event(moved)
    for key in selected:
        for result in (_recent(key, arrived.get(key), now), _copied(key, copied.get(key, Copies(0, 0)))):
            if dg.AssetCheckKey(key, str(result.check_name)) in context.selected_asset_check_keys:
                yield result


def _recent(key: dg.AssetKey, arrived: Arrivals | None, now: datetime) -> dg.AssetCheckResult:
    passed, description, metadata = _judged(tables.BY_KEY[key], arrived, now)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="recent_arrivals",
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def _judged(event_type: EventType, arrived: Arrivals | None, now: datetime) -> tuple[bool, str, dict[str, int | float]]:
    if arrived is None:
        return False, f"{event_type.table} does not exist: gcc-ingest init creates it", {}
    if arrived.newest_insert is None or arrived.newest_event is None:
        return True, "no event has ever arrived", {"rows": 0}
    age = now - arrived.newest_insert
    limits = tables.freshness(event_type)
    limit = limits and (limits[0] or limits[1])
    said = f"the newest row came {_minutes(age):.0f} minutes ago"
    numbers = {
        "rows": arrived.rows,
        "minutes_since_insert": round(_minutes(age), 1),
        "minutes_since_event": round(_minutes(now - arrived.newest_event), 1),
    }
    if limit is None:
        return True, said, numbers
    return age <= limit, f"{said}, the limit is {_minutes(limit):.0f}", numbers


def _copied(key: dg.AssetKey, recent: Copies) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="copies",
        passed=recent.share < _COPIES_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{recent.rows - recent.events} of the last hour's {recent.rows} rows are copies",
        metadata={"rows": recent.rows, "events": recent.events, "share": round(recent.share, 6)},
    )


def _minutes(duration: timedelta) -> float:
    return duration.total_seconds() / 60
