"""What Dagster is told of the raw tables, which it does not write: observations, and a materialization when data moved.

Freshness policies look at materializations only. A check's result counts as current only while it is newer than the
asset's last materialization; therefore the refresh reports what moved and then checks it, and the sensor, which looks
every minute, leaves that to the refresh for as long as there is one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from gcc_platform.defs.raw.arrivals import Arrivals

_NEWEST_INSERT = "newest_insert"


def observations(found: Mapping[dg.AssetKey, Arrivals]) -> list[dg.AssetObservation]:
    """The tables as they are now."""
    return [dg.AssetObservation(key, metadata=_metadata(arrived)) for key, arrived in found.items()]


def materializations(
    instance: dg.DagsterInstance, found: Mapping[dg.AssetKey, Arrivals], unless_within: timedelta = timedelta(0)
) -> list[dg.AssetMaterialization]:
    """One for each table with newer rows than Dagster was told of, unless it was told something within that time."""
    return [
        dg.AssetMaterialization(key, metadata=_metadata(arrived))
        for key, arrived in found.items()
        if arrived.newest_insert is not None and _is_news(instance, key, arrived.newest_insert, unless_within)
    ]


def _is_news(instance: dg.DagsterInstance, key: dg.AssetKey, newest: datetime, unless_within: timedelta) -> bool:
    last = instance.get_latest_materialization_event(key)
    if last is None or last.asset_materialization is None:
        return True
    told_at = datetime.fromtimestamp(last.timestamp, UTC)
    told = last.asset_materialization.metadata.get(_NEWEST_INSERT)
    known = isinstance(told, dg.TimestampMetadataValue) and newest.timestamp() <= told.value
    return not known and datetime.now(UTC) - told_at >= unless_within


def _metadata(arrived: Arrivals) -> dict[str, Any]:
    metadata: dict[str, Any] = {"dagster/row_count": arrived.rows}
    if arrived.newest_insert is not None and arrived.newest_event is not None:
        metadata[_NEWEST_INSERT] = dg.MetadataValue.timestamp(arrived.newest_insert)
        metadata["newest_event"] = dg.MetadataValue.timestamp(arrived.newest_event)
    return metadata
