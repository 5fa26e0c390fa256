"""The record of a dead letter, read from a message of an error queue."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from ingest_service.broker.headers import Headers, shown, text
from ingest_service.dead_letters import headers
from ingest_service.dead_letters.headers import DeadLetterHistory, format_timestamp, parse_timestamp
from ingest_service.dead_letters.ids import belongs_to
from ingest_service.events.contract import EXCHANGE, EventType

UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""first_rejected_at of a message without that header; constant, so that the letter's id is too."""

UNKNOWN_REASON = "unknown"
_NAME, _DETAIL = 255, 1_000  # characters at most; AMQP's names of exchanges and routing keys have no more bytes
_FIRST_REJECTED_BEFORE = "x-gcc-rejected-at"  # the only time in letters of earlier versions


class DeadLetterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter with its body and headers."""

    letter_id: UUID
    event_type: str
    reason: str
    detail: str
    attempts: int
    first_rejected_at: datetime
    last_rejected_at: datetime
    original_exchange: str
    original_routing_key: str
    headers: dict[str, object]
    body: bytes
    archived_at: datetime


def read(event_type: EventType, body: bytes, own: Headers, now: datetime) -> DeadLetterRecord:
    """Read the record of a message in a type's error queue."""
    history = DeadLetterHistory.from_headers(own)
    before = parse_timestamp(own.get(_FIRST_REJECTED_BEFORE))
    first = history.first_rejected_at or before or UNKNOWN_TIME
    return DeadLetterRecord(
        letter_id=_letter_id(event_type.name, body, history.letter_id, first),
        event_type=event_type.name,
        reason=text(own.get(headers.REASON, UNKNOWN_REASON), _NAME),
        detail=text(own.get(headers.DETAIL, ""), _DETAIL),
        attempts=max(1, history.attempts),
        first_rejected_at=first,
        last_rejected_at=parse_timestamp(own.get(headers.LAST_REJECTED_AT)) or before or now,
        original_exchange=text(own.get(headers.ORIGINAL_EXCHANGE, EXCHANGE), _NAME),
        original_routing_key=text(own.get(headers.ORIGINAL_ROUTING_KEY, event_type.routing_key), _NAME),
        headers={name: shown(value) for name, value in own.items()},
        body=body,
        archived_at=now,
    )


def _letter_id(event_type: str, body: bytes, letter_id: UUID | None, first_rejected_at: datetime) -> UUID:
    """The letter's id: the same however often it is delivered, archived, replayed and rejected again.

    It is the id that the service gave it. A letter of an earlier version, or of another publisher, has no valid id: its
    id is derived from its body and first_rejected_at, which never change.
    """
    if letter_id is not None and belongs_to(letter_id, event_type, body):
        return letter_id
    digest = hashlib.sha256(f"{event_type}\0{format_timestamp(first_rejected_at)}\0".encode())
    digest.update(body)
    return UUID(bytes=digest.digest()[:16], version=5)
