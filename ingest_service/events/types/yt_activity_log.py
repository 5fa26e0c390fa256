"""The yt_activity_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class YtActivityLog(SnapshotEvent):
    """What a channel did: an upload, a like, a comment, ..."""

    activity_id: str
    activity_type: str
    actor_channel_id: str
    shortcode: str | None = None


EVENT_TYPE = EventType("yt_activity_log", YtActivityLog)
