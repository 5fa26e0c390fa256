"""The trace_log event."""

from datetime import datetime

from ingest_service.events.contract import EventType, Int32, SourcedEvent


class TraceLog(SourcedEvent):
    """One request of a crawler to somewhere; may be sent again, and the newest version counts."""

    trace_id: str
    """The request."""
    host_name: str
    """The host that was asked."""
    service_name: str
    """The service of the crawler that asked."""
    method: str
    """The HTTP method."""
    uri: str
    """What was asked for."""
    status_code: Int32
    """The HTTP status of the answer."""
    duration_ms: float
    """How long the request took, in milliseconds."""
    started_at: datetime
    """When it started."""


EVENT_TYPE = EventType("trace_log", TraceLog)
