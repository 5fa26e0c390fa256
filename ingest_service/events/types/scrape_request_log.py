"""The scrape_request_log event."""

from datetime import datetime

from ingest_service.events.contract import (
    EMPTY_OBJECT,
    Event,
    EventType,
    Int32,
    JsonObject,
    Uint64,
)


class ScrapeRequestLog(Event):
    """What happened to one crawl request."""

    scl_id: Uint64
    flow: str
    status: str
    params: JsonObject = EMPTY_OBJECT
    priority: Int32 | None = None
    reason: str | None = None
    picked_at: datetime | None = None
    expires_at: datetime | None = None


EVENT_TYPE = EventType("scrape_request_log", ScrapeRequestLog)
