"""The asset_log event."""

from ingest_service.events.contract import EventType, SnapshotEvent


class AssetLog(SnapshotEvent):
    """An image or video of a profile or post on its way into our storage."""

    asset_id: str
    asset_type: str
    entity_type: str
    entity_id: str
    url: str
    status: str


EVENT_TYPE = EventType("asset_log", AssetLog)
