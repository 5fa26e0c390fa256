"""Dagster's record of the raw tables: the events that report their rows, and what was reported last.

Freshness policies look at materializations only, so one is reported for each table that has new rows. The last one
also holds the time from which the next query of ClickHouse starts: there is no other cursor.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gcc_platform.defs.raw.table_stats import BEGINNING, Arrivals

_NEWEST_INSERT = "newest_insert"


def last_reported(instance: dg.DagsterInstance, tables: Iterable[dg.AssetKey]) -> Mapping[dg.AssetKey, datetime]:
    """The newest insert in the last materialization of each table, from one query."""
    keys = list(tables)
    entries = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    return {key: _newest_insert(entries[key].last_materialization) if key in entries else BEGINNING for key in keys}


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


def _newest_insert(event: dg.EventLogEntry | None) -> datetime:
    materialization = event.asset_materialization if event else None
    newest = materialization.metadata.get(_NEWEST_INSERT) if materialization else None
    return datetime.fromtimestamp(newest.value, UTC) if isinstance(newest, dg.TimestampMetadataValue) else BEGINNING
