"""The affiliate_order event."""

from datetime import datetime

from ingest_service.events.contract import Amount, EventType, SnapshotEvent


class AffiliateOrder(SnapshotEvent):
    """An affiliate order; sent again whenever it changes, and the newest version counts."""

    order_id: str
    """The order in its store."""
    store: str
    """The store."""
    status: str
    """The order's status, as the store names it."""
    amount: Amount
    """What the order is worth, in its currency."""
    currency: str
    """The currency of the amount."""
    updated_at: datetime
    """When the order changed: the newest version counts."""


EVENT_TYPE = EventType("affiliate_order", AffiliateOrder)
