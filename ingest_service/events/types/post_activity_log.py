"""The post_activity_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class PostActivityLog(SnapshotEvent):
    """A like, a comment, ... by an actor on a post; profile_id is the post's owner."""

    activity_type: str
    """What the actor did: like, comment, ..."""
    actor_profile_id: str
    """The profile that did it."""
    shortcode: str
    """The post on its platform."""
    profile_id: str | None = None
    """The post's owner on its platform."""


EVENT_TYPE = EventType("post_activity_log", PostActivityLog)
