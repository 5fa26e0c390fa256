"""The ids of dead letters: one per message, given when it is first rejected, and never changed."""

import hashlib
import re
from uuid import UUID, uuid4

_EVENT_ID = re.compile(rb'"event_id"\s*:\s*"[0-9A-Fa-f-]{32,36}"')
_VERSION_8 = 8 << 76  # RFC 9562: the other bits are free
_VARIANT = 2 << 62
_HALF = 2**64


def new_letter_id(event_type: str, body: bytes) -> UUID:
    """The id of a message that is rejected for the first time.

    Its second half is a digest of event type and body, so that a forged id cannot replace another letter. If the body
    has an event_id, the first half is of the same digest: the message gets the same id however often it is rejected (it
    is redelivered after a crash). Otherwise it is random: two messages with the same bytes are two letters.
    """
    digest = _digest(event_type, body)
    first = int.from_bytes(digest[:8], "big") if _EVENT_ID.search(body) else uuid4().int >> 64
    return _uuid(first, digest)


def belongs_to(letter_id: UUID, event_type: str, body: bytes) -> bool:
    """Whether an id from a header can belong to this message."""
    return letter_id == _uuid(letter_id.int // _HALF, _digest(event_type, body))


def _digest(event_type: str, body: bytes) -> bytes:
    return hashlib.sha256(event_type.encode() + b"\0" + body).digest()


def _uuid(first: int, digest: bytes) -> UUID:
    bits = first * _HALF + int.from_bytes(digest[-8:], "big")
    bits = bits & ~(0xF << 76) | _VERSION_8
    return UUID(int=bits & ~(3 << 62) | _VARIANT)
