"""Whether the raw tables get new rows, and how many of them are copies. One query per kind of check, for all tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.arrivals import BEGINNING, Arrivals, Copies, arrivals, copies
from gcc_platform.resources.clickhouse import ClickHouseResource
from ingest_service.events.contract import EventType

_COPIES_WINDOW = timedelta(hours=1)
_COPIES_LIMIT = 0.01
"""Redelivery after a crash makes a few copies, which merges and staging collapse; more has a cause to be found."""


@dg.multi_asset_check(
    name="recent_arrivals",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(
            "recent_arrivals",
            asset=key,
            description=f"{event_type.table} got rows within its freshness limit. If not: is gcc-ingest running, and "
            f"does {event_type.queue} have messages?",
        )
        for key, event_type in tables.BY_KEY.items()
    ],
)
def recent_arrivals(
    context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource
) -> Iterator[dg.AssetCheckResult]:
    """The age of the newest row."""
    selected = _selected(context)
    now = datetime.now(UTC)
    with clickhouse.connect(check="recent_arrivals", run_id=context.run.run_id) as connection:
        found = arrivals(connection, selected, BEGINNING)
    for table, event_type in selected.items():
        yield _recent(event_type, found.get(table), now)


def _recent(event_type: EventType, arrived: Arrivals | None, now: datetime) -> dg.AssetCheckResult:
    passed, description, metadata = _judged(event_type, arrived, now)
    return dg.AssetCheckResult(
        asset_key=tables.key(event_type),
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


@dg.multi_asset_check(
    name="copies",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(
            "copies",
            asset=key,
            description=f"Less than {_COPIES_LIMIT:.0%} of the last hour's rows of {event_type.table} are copies of "
            "an event that is there already. Copies do no harm: staging reads each event once.",
        )
        for key, event_type in tables.BY_KEY.items()
    ],
)
def copies_of_events(
    context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource
) -> Iterator[dg.AssetCheckResult]:
    """The share of rows that are copies."""
    selected = _selected(context)
    with clickhouse.connect(check="copies", run_id=context.run.run_id) as connection:
        found = copies(connection, selected, _COPIES_WINDOW)
    for table, event_type in selected.items():
        recent = found.get(table, Copies(0, 0))
        yield dg.AssetCheckResult(
            asset_key=tables.key(event_type),
            check_name="copies",
            passed=recent.share < _COPIES_LIMIT,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{recent.rows - recent.events} of the last hour's {recent.rows} rows are copies",
            metadata={"rows": recent.rows, "events": recent.events, "share": round(recent.share, 6)},
        )


def _selected(context: dg.AssetCheckExecutionContext) -> dict[str, EventType]:
    """The event types to check, by table."""
    keys = sorted({check.asset_key for check in context.selected_asset_check_keys})
    return {tables.table_name(tables.BY_KEY[key]): tables.BY_KEY[key] for key in keys}


def _minutes(duration: timedelta) -> float:
    return duration.total_seconds() / 60
