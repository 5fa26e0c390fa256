"""The yt_profile_relationship_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class YtProfileRelationshipLog(SnapshotEvent):
    """A subscription edge between two channels."""

    source_profile_id: str
    """The source of the relationship."""
    target_profile_id: str
    """The target of the relationship."""
    relationship_type: str
    """subscription: the source subscribes to the target."""


EVENT_TYPE = EventType("yt_profile_relationship_log", YtProfileRelationshipLog)
