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
    """The crawl request."""
    flow: str
    """What is crawled."""
    status: str
    """The request's status from then on."""
    params: JsonObject = EMPTY_OBJECT
    """The request's parameters, as a JSON object."""
    priority: Int32 | None = None
    """Its priority in the queue of requests."""
    reason: str | None = None
    """Why it has this status."""
    picked_at: datetime | None = None
    """When a crawler took it."""
    expires_at: datetime | None = None
    """Until when it is wanted."""


EVENT_TYPE = EventType("scrape_request_log", ScrapeRequestLog)
