"""The profile_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class ProfileLog(SnapshotEvent):
    """A profile as it was at a crawl."""

    profile_id: str
    """The profile on its platform."""
    handle: str | None = None
    """The profile's public name."""


EVENT_TYPE = EventType("profile_log", ProfileLog)
