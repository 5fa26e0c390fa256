"""The affiliate_order event."""

from datetime import datetime

from ingest_service.events.contract import Amount, EventType, SnapshotEvent


class AffiliateOrder(SnapshotEvent):
    """An affiliate order; sent again whenever it changes, and the newest version counts."""

    order_id: str
    store: str
    status: str
    amount: Amount
    currency: str
    updated_at: datetime


EVENT_TYPE = EventType("affiliate_order", AffiliateOrder)
