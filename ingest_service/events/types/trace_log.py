"""The trace_log event."""

from datetime import datetime

from ingest_service.events.contract import EventType, Int32, SourcedEvent


class TraceLog(SourcedEvent):
    """One request of a crawler to somewhere; may be sent again, and the newest version counts."""

    trace_id: str
    host_name: str
    service_name: str
    method: str
    uri: str
    status_code: Int32
    duration_ms: float
    started_at: datetime


EVENT_TYPE = EventType("trace_log", TraceLog)
