"""Dagster's record of the raw tables: the events that report their rows, and what was reported last.

Freshness policies look at materializations only, so one is reported for each table that has new rows. The last one
also holds the time from which the next query of ClickHouse starts: there is no other cursor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.evaluation import Measured
from gcc_platform.defs.raw.table_stats import BEGINNING, Arrivals
from gcc_platform.raw_checks.parts import Parts
from gcc_platform.raw_checks.volume import Volume

_NEWEST_INSERT = "newest_insert"


@dataclass(frozen=True)
class LastReport:
    """The last materialization of a table."""

    newest_insert: datetime = BEGINNING
    at: float = 0.0
    """When it was reported, in epoch seconds; 0 if none ever was."""


def last_reports(instance: dg.DagsterInstance, tables: Iterable[dg.AssetKey]) -> Mapping[dg.AssetKey, LastReport]:
    """The last materialization of each table, from one query."""
    keys = list(tables)
    entries = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    return {key: _last_report(entries[key].last_materialization) if key in entries else LastReport() for key in keys}


def last_reported(instance: dg.DagsterInstance, tables: Iterable[dg.AssetKey]) -> Mapping[dg.AssetKey, datetime]:
    """The newest insert in the last materialization of each table, from one query."""
    return {key: report.newest_insert for key, report in last_reports(instance, tables).items()}


def materializations(
    found: Mapping[dg.AssetKey, Arrivals], reported: Mapping[dg.AssetKey, datetime]
) -> list[dg.AssetMaterialization]:
    """A materialization of each table that has newer rows than were reported."""
    return [
        dg.AssetMaterialization(key, metadata=metadata(arrived))
        for key, arrived in found.items()
        if arrived.newest_insert is not None and arrived.newest_insert > reported[key]
    ]


def metadata(arrived: Arrivals) -> dict[str, Any]:
    """The metadata of an event that reports a table's rows."""
    values: dict[str, Any] = {"dagster/row_count": arrived.rows}
    if arrived.newest_insert is not None and arrived.newest_event is not None:
        values[_NEWEST_INSERT] = dg.MetadataValue.timestamp(arrived.newest_insert)
        values["newest_event"] = dg.MetadataValue.timestamp(arrived.newest_event)
    return values


def numbers(key: dg.AssetKey, measured: Measured, now: datetime) -> dict[str, Any]:
    """The metadata of an observation by the sensor: numbers, which plot."""
    event_type, table = tables.BY_KEY[key], key.path[-1]
    values: dict[str, Any] = {}
    if arrived := measured.arrived.get(key):
        values |= metadata(arrived)
        if arrived.newest_insert is not None:
            values["seconds_since_insert"] = (now - arrived.newest_insert).total_seconds()
    values["rows_in_5_minutes"] = measured.volumes.get(event_type.name, Volume()).recent
    values["dead_letters_in_15_minutes"] = sum(measured.letters.get(event_type.name, {}).values())
    parts = measured.parts.get(table, Parts())
    values |= {"parts": parts.count, "bytes": parts.size}
    if measured.queues is not None and (state := measured.queues.states.get(event_type.queue)):
        values |= {"queue_depth": state.ready, "consumers": state.consumers}
    return values


def _last_report(event: dg.EventLogEntry | None) -> LastReport:
    return LastReport(_newest_insert(event), event.timestamp) if event else LastReport()


def _newest_insert(event: dg.EventLogEntry | None) -> datetime:
    materialization = event.asset_materialization if event else None
    newest = materialization.metadata.get(_NEWEST_INSERT) if materialization else None
    return datetime.fromtimestamp(newest.value, UTC) if isinstance(newest, dg.TimestampMetadataValue) else BEGINNING
