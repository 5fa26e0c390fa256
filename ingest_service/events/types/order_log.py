"""The order_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class OrderLog(SnapshotEvent):
    """An order seen on a store."""

    platform_order_id: str
    """The order in its store."""
    store: str
    """The store."""


EVENT_TYPE = EventType("order_log", OrderLog)
