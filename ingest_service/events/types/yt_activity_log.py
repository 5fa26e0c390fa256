"""The yt_activity_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class YtActivityLog(SnapshotEvent):
    """What a channel did: an upload, a like, a comment, ..."""

    activity_id: str
    """The activity on YouTube."""
    activity_type: str
    """What the channel did: upload, like, ..."""
    actor_channel_id: str
    """The channel that did it."""
    shortcode: str | None = None
    """The video, if there is one."""


EVENT_TYPE = EventType("yt_activity_log", YtActivityLog)
