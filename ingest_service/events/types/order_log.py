"""The order_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class OrderLog(SnapshotEvent):
    """An order seen on a store."""

    platform_order_id: str
    store: str


EVENT_TYPE = EventType("order_log", OrderLog)
