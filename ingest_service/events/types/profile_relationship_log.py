"""The profile_relationship_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class ProfileRelationshipLog(SnapshotEvent):
    """A follower or following edge between two profiles."""

    source_profile_id: str
    """The source of the relationship."""
    target_profile_id: str
    """The target of the relationship."""
    relationship_type: str
    """The kind of relationship: follower or following."""


EVENT_TYPE = EventType("profile_relationship_log", ProfileRelationshipLog)
