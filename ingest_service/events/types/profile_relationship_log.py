"""The profile_relationship_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class ProfileRelationshipLog(SnapshotEvent):
    """A follower or following edge between two profiles."""

    source_profile_id: str
    target_profile_id: str
    relationship_type: str


EVENT_TYPE = EventType("profile_relationship_log", ProfileRelationshipLog)
