"""The raw tables as assets. The ingest service writes them; the first step of a refresh observes them."""

import warnings
from collections.abc import Callable, Iterator

import dagster as dg

from gcc_platform.defs import code_references
from gcc_platform.defs.links import Links
from gcc_platform.defs.raw import ddl, tables
from gcc_platform.defs.raw.columns import column_schema
from gcc_platform.defs.raw.materializations import last_reported, materializations, metadata
from gcc_platform.defs.raw.table_stats import arrivals
from gcc_platform.defs.resources import ClickHouseResource
from gcc_platform.resources.clickhouse import table_uri
from gcc_platform.settings import Settings
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES


def _spec(event_type: EventType, links: Links, settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=tables.key(event_type),
        group_name="raw",
        kinds={"clickhouse", "rabbitmq"},
        owners=[tables.owner(event_type)],
        description=event_type.description,
        metadata={
            "dagster/column_schema": column_schema(event_type),
            "dagster/table_name": event_type.table,
            "dagster/uri": table_uri(settings, event_type.table),
            "routing_key": event_type.routing_key,
            "queue": event_type.queue,
            **links.metadata(
                queues={"queue_page": event_type.queue, "error_queue_page": event_type.error_queue},
                query=_newest_rows(event_type),
                runbook="The ingest service",
            ),
            **code_references.metadata(
                code_references.of_class("contract", event_type.struct),
                code_references.of_file("table", ddl.of_raw_table(event_type)),
            ),
        },
        freshness_policy=_freshness_policy(event_type),
    )


def _newest_rows(event_type: EventType) -> str:
    return (
        f"SELECT * FROM {event_type.table} WHERE insert_timestamp > now() - INTERVAL 15 MINUTE\n"  # noqa: S608
        "ORDER BY insert_timestamp DESC LIMIT 100"
    )


def _freshness_policy(event_type: EventType) -> dg.FreshnessPolicy | None:
    limits = tables.freshness(event_type)
    if limits is None:
        return None
    warn, fail = limits
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)


def _specs() -> list[dg.AssetSpec]:
    links, settings = Links.from_environment(), Settings()
    return [_spec(event_type, links, settings) for event_type in EVENT_TYPES.values()]


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # pyproject.toml pins the version, and a test runs the step
    _observable: Callable[[Callable[..., Iterator[dg.ObserveResult]]], dg.AssetsDefinition]
    _observable = dg.multi_observable_source_asset(
        name="observe_raw_tables",
        specs=_specs(),
        can_subset=True,
    )


@_observable
def raw_tables(context: dg.AssetExecutionContext, clickhouse: ClickHouseResource) -> Iterator[dg.ObserveResult]:
    """Observe each table, and report a materialization of each that has new rows.

    Only this step reports materializations. It comes before the checks, because a check's result is current only while
    it is newer than the last materialization of its asset.
    """
    selected = sorted(context.selected_asset_keys)
    reported = last_reported(context.instance, selected)
    with clickhouse.connect(step="observe_raw_tables", run_id=context.run.run_id) as connection:
        found = arrivals(connection, reported)
    for materialization in materializations(found, reported):
        context.log_event(materialization)
    for key in selected:  # of tables that do not exist as well: without it, everything downstream would be skipped
        yield dg.ObserveResult(asset_key=key, metadata=metadata(found[key]) if key in found else {})
