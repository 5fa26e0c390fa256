"""The declarations of the raw tables: their keys, and freshness limits and owners from the warehouse's dbt sources."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from gcc_platform.resources.dbt_project import manifest
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES


def key(event_type: EventType) -> dg.AssetKey:
    """The asset of an event type's raw table."""
    return dg.AssetKey(["raw", table_name(event_type)])


def table_name(event_type: EventType) -> str:
    """The table's name without its database."""
    return event_type.table.rpartition(".")[2]


BY_KEY: Mapping[dg.AssetKey, EventType] = {key(event_type): event_type for event_type in EVENT_TYPES.values()}


def freshness(event_type: EventType) -> tuple[timedelta | None, timedelta] | None:
    """The ages of the newest row at which dbt's source warns (None: never) and fails; None if it has no limits."""
    limits = _source(event_type).get("freshness") or {}
    fail = _duration(limits.get("error_after"))
    return (_duration(limits.get("warn_after")), fail) if fail else None


def owner(event_type: EventType) -> str:
    """The team that is responsible for the table's data."""
    return str(_source(event_type).get("config", {}).get("meta", {}).get("owner", "team:ingest"))


def _source(event_type: EventType) -> Mapping[str, Any]:
    for source in manifest("warehouse")["sources"].values():
        if f"{source['schema']}.{source['identifier']}" == event_type.table:
            found: Mapping[str, Any] = source
            return found
    return {}


def _duration(limit: Mapping[str, Any] | None) -> timedelta | None:
    if not limit or limit.get("count") is None:
        return None
    return timedelta(**{f"{limit['period']}s": limit["count"]})
