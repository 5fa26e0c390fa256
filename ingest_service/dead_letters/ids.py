"""What a dead letter is called: one id for one message, given when it is first rejected and never changed."""

import hashlib
import re
from uuid import UUID, uuid4

_EVENT_ID = re.compile(rb'"event_id"\s*:\s*"[0-9A-Fa-f-]{32,36}"')
_VERSION_8 = 8 << 76  # RFC 9562: the rest of the bits is ours
_VARIANT = 2 << 62
_HALF = 2**64


def new_letter_id(event_type: str, body: bytes) -> UUID:
    """The id of a message that is rejected for the first time.

    Its second half is a digest of event type and body, so that no letter can take another one's place by a forged id.
    Where the body names its event_id, the first half is of the same digest: whoever rejects that message, and however
    often (the broker delivers it again after a crash), calls it the same. Otherwise it is random: two messages with
    the same bytes are two letters.
    """
    digest = _digest(event_type, body)
    first = int.from_bytes(digest[:8], "big") if _EVENT_ID.search(body) else uuid4().int >> 64
    return _uuid(first, digest)


def belongs_to(letter_id: UUID, event_type: str, body: bytes) -> bool:
    """Whether an id that a header gives may be that of this message."""
    return letter_id == _uuid(letter_id.int // _HALF, _digest(event_type, body))


def _digest(event_type: str, body: bytes) -> bytes:
    return hashlib.sha256(event_type.encode() + b"\0" + body).digest()


def _uuid(first: int, digest: bytes) -> UUID:
    bits = first * _HALF + int.from_bytes(digest[-8:], "big")
    bits = bits & ~(0xF << 76) | _VERSION_8
    return UUID(int=bits & ~(3 << 62) | _VARIANT)
