"""Tells Dagster what the ingest service wrote: always an observation, a materialization only when data moved."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.arrivals import BEGINNING, Arrivals, arrivals
from gcc_platform.resources.clickhouse import ClickHouseResource


@dg.sensor(
    name="raw_arrivals",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks ClickHouse every minute how many rows the raw tables have and when the newest came.",
)
def raw_arrivals(context: dg.SensorEvaluationContext, clickhouse: ClickHouseResource) -> dg.SensorResult:
    """Freshness policies look at materializations: one is reported when a table's newest insert moved."""
    seen = _newest_by_table(context.cursor)
    since = min(seen.values()) if len(seen) == len(tables.BY_KEY) else BEGINNING
    names = {tables.table_name(event_type): key for key, event_type in tables.BY_KEY.items()}
    with clickhouse.connect(sensor="raw_arrivals") as connection:
        found = arrivals(connection, names, since)
    events = [event for table, arrived in found.items() for event in _events(names[table], arrived, seen.get(table))]
    moved = sum(isinstance(event, dg.AssetMaterialization) for event in events)
    return dg.SensorResult(
        asset_events=events,
        cursor=_cursor(seen, found),
        skip_reason=f"No run is asked for: {moved} of {len(found)} tables got rows.",  # else "an empty result"
    )


def _events(
    key: dg.AssetKey, arrived: Arrivals, seen: datetime | None
) -> Iterator[dg.AssetObservation | dg.AssetMaterialization]:
    metadata = _metadata(arrived)
    yield dg.AssetObservation(key, metadata=metadata)
    if arrived.newest_insert is not None and (seen is None or arrived.newest_insert > seen):
        yield dg.AssetMaterialization(key, metadata=metadata)


def _metadata(arrived: Arrivals) -> dict[str, Any]:
    metadata: dict[str, Any] = {"dagster/row_count": arrived.rows}
    if arrived.newest_insert is not None and arrived.newest_event is not None:
        metadata["newest_insert"] = dg.MetadataValue.timestamp(arrived.newest_insert)
        metadata["newest_event"] = dg.MetadataValue.timestamp(arrived.newest_event)
    return metadata


def _newest_by_table(cursor: str | None) -> Mapping[str, datetime]:
    return {table: datetime.fromisoformat(newest) for table, newest in json.loads(cursor or "{}").items()}


def _cursor(seen: Mapping[str, datetime], found: Mapping[str, Arrivals]) -> str:
    """The newest insert of each table, as far as it ever had one."""
    moved = {table: arrived.newest_insert for table, arrived in found.items() if arrived.newest_insert is not None}
    return json.dumps({table: newest.isoformat() for table, newest in {**seen, **moved}.items()})
