"""The post_log event."""

from datetime import datetime

from ingest_service.events.contract import EventType, SnapshotEvent


class PostLog(SnapshotEvent):
    """A post as it was at a crawl: the highest volume by far."""

    profile_id: str
    """The profile on its platform."""
    shortcode: str
    """The post on its platform."""
    handle: str | None = None
    """The profile's public name."""
    publish_time: datetime | None = None
    """When the post was published."""


EVENT_TYPE = EventType("post_log", PostLog)
