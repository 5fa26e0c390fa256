"""The asset_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class AssetLog(SnapshotEvent):
    """An image or video of a profile or post on its way into our storage."""

    asset_id: str
    """The image or video."""
    asset_type: str
    """What it is: image, video."""
    entity_type: str
    """What it belongs to: a profile or a post."""
    entity_id: str
    """The profile or post that it belongs to."""
    url: str
    """Where it is copied from."""
    status: str
    """The state of the copy: uploaded, ..."""


EVENT_TYPE = EventType("asset_log", AssetLog)
