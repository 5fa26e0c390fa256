"""The post_log event."""

from datetime import datetime

from ingest_service.events.contract import EventType, SnapshotEvent


class PostLog(SnapshotEvent):
    """A post as it was at a crawl: the highest volume by far."""

    profile_id: str
    shortcode: str
    handle: str | None = None
    publish_time: datetime | None = None


EVENT_TYPE = EventType("post_log", PostLog)
