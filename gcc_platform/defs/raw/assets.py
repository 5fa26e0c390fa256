"""The raw tables as assets: the ingest service writes them, Dagster looks on."""

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.resources.clickhouse import table_uri
from gcc_platform.settings import Settings
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES


def _spec(event_type: EventType) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=tables.key(event_type),
        group_name="raw",
        kinds={"clickhouse", "rabbitmq"},
        owners=[tables.owner(event_type)],
        description=event_type.description,
        metadata={
            "dagster/column_schema": tables.column_schema(event_type),
            "dagster/table_name": event_type.table,
            "dagster/uri": table_uri(Settings(), event_type.table),
            "routing_key": event_type.routing_key,
            "queue": event_type.queue,
        },
        freshness_policy=_freshness_policy(event_type),
    )


def _freshness_policy(event_type: EventType) -> dg.FreshnessPolicy | None:
    limits = tables.freshness(event_type)
    if limits is None:
        return None
    warn, fail = limits
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)


raw_tables = [_spec(event_type) for event_type in EVENT_TYPES.values()]
