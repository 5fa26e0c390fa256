"""The post_activity_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class PostActivityLog(SnapshotEvent):
    """A like, a comment, ... by an actor on a post; profile_id is the post's owner."""

    activity_type: str
    actor_profile_id: str
    shortcode: str
    profile_id: str | None = None


EVENT_TYPE = EventType("post_activity_log", PostActivityLog)
