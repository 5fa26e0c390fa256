"""What Dagster is told of the raw tables, which it does not write itself.

Freshness policies look at materializations only. A check's result counts as current only while it is newer than the
asset's last materialization; therefore the refresh reports what moved just before it checks that, and the sensor, which
looks every minute, leaves it to the refresh for as long as there is one. What Dagster was told last is also where the
next look at ClickHouse begins: there is no cursor beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gcc_platform.defs.raw.arrivals import BEGINNING, Arrivals

_NEWEST_INSERT = "newest_insert"


@dataclass(frozen=True)
class Told:
    """A table's last materialization: when it was reported, and the newest row that it spoke of."""

    at: datetime = BEGINNING
    newest_insert: datetime = BEGINNING


def told(instance: dg.DagsterInstance, tables: Iterable[dg.AssetKey]) -> Mapping[dg.AssetKey, Told]:
    """What Dagster was told last of each table, in one query."""
    keys = list(tables)
    last = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    return {key: _told(last[key].last_materialization) if key in last else Told() for key in keys}


def observations(found: Mapping[dg.AssetKey, Arrivals]) -> list[dg.AssetObservation]:
    """The tables as they are now."""
    return [dg.AssetObservation(key, metadata=_metadata(arrived)) for key, arrived in found.items()]


def materializations(
    found: Mapping[dg.AssetKey, Arrivals], already: Mapping[dg.AssetKey, Told], told_before: datetime
) -> list[dg.AssetMaterialization]:
    """One for each table with newer rows than Dagster was told of, unless it was told something since that time."""
    return [
        dg.AssetMaterialization(key, metadata=_metadata(arrived))
        for key, arrived in found.items()
        if arrived.newest_insert is not None
        and arrived.newest_insert > already[key].newest_insert
        and already[key].at < told_before
    ]


def _told(event: dg.EventLogEntry | None) -> Told:
    if event is None or event.asset_materialization is None:
        return Told()
    newest = event.asset_materialization.metadata.get(_NEWEST_INSERT)
    known = datetime.fromtimestamp(newest.value, UTC) if isinstance(newest, dg.TimestampMetadataValue) else BEGINNING
    return Told(datetime.fromtimestamp(event.timestamp, UTC), known)


def _metadata(arrived: Arrivals) -> dict[str, Any]:
    metadata: dict[str, Any] = {"dagster/row_count": arrived.rows}
    if arrived.newest_insert is not None and arrived.newest_event is not None:
        metadata[_NEWEST_INSERT] = dg.MetadataValue.timestamp(arrived.newest_insert)
        metadata["newest_event"] = dg.MetadataValue.timestamp(arrived.newest_event)
    return metadata
