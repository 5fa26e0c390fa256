"""The yt_profile_relationship_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class YtProfileRelationshipLog(SnapshotEvent):
    """A subscription edge between two channels."""

    source_profile_id: str
    target_profile_id: str
    relationship_type: str


EVENT_TYPE = EventType("yt_profile_relationship_log", YtProfileRelationshipLog)
