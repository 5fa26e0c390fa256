"""The sentiment_log event."""

from typing import Annotated

from msgspec import Meta

from ingest_service.events.contract import EventType, SnapshotEvent


class SentimentLog(SnapshotEvent):
    """The sentiment of one comment, score from -1 to 1."""

    shortcode: str
    comment_id: str
    sentiment: str
    score: Annotated[float, Meta(ge=-1, le=1)]
    comment: str | None = None


EVENT_TYPE = EventType("sentiment_log", SentimentLog)
