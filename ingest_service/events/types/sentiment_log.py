"""The sentiment_log event."""

from typing import Annotated

from msgspec import Meta

from ingest_service.events.contract import EventType, SnapshotEvent


class SentimentLog(SnapshotEvent):
    """The sentiment of one comment, score from -1 to 1."""

    shortcode: str
    """The post on its platform."""
    comment_id: str
    """The comment on its platform."""
    sentiment: str
    """The sentiment in a word."""
    score: Annotated[float, Meta(ge=-1, le=1)]
    """From -1, negative, to 1, positive."""
    comment: str | None = None
    """The comment's text."""


EVENT_TYPE = EventType("sentiment_log", SentimentLog)
