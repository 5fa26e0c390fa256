"""The headers of dead letters and replays: their names, and a message's history as a dead letter read from them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from ingest_service.broker import properties
from ingest_service.broker.headers import Headers

PREFIX = "x-gcc-"

REASON = "x-gcc-reason"
DETAIL = "x-gcc-detail"
EVENT_TYPE = "x-gcc-event-type"
ORIGINAL_EXCHANGE = "x-gcc-original-exchange"
ORIGINAL_ROUTING_KEY = "x-gcc-original-routing-key"
FIRST_REJECTED_AT = "x-gcc-first-rejected-at"
LAST_REJECTED_AT = "x-gcc-last-rejected-at"
ATTEMPTS = "x-gcc-attempts"
LETTER_ID = "x-gcc-letter-id"
REPLAY = "x-gcc-replay"
SERVICE_VERSION = "x-gcc-service-version"
UNDECODABLE = "x-gcc-undecodable-properties"
"""Never sent: holds the bytes of properties that could not be decoded, for the archive."""

HISTORY_HEADERS = frozenset({ATTEMPTS, FIRST_REJECTED_AT, LETTER_ID, REPLAY})
"""The headers that make up a `DeadLetterHistory`. The service keeps no others."""

MOST_TEXT = 100
"""Characters of a header of `HISTORY_HEADERS`; a longer one was not written by us."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # what ClickHouse's DateTime64 holds, with room to spare
_MOST_ATTEMPTS = 2**31
_MOST_OF_OURS = 1_000
"""Characters of a header of ours in properties that cannot be decoded as a whole."""
_PREFIX = PREFIX.encode()


@dataclass(frozen=True, slots=True)
class DeadLetterHistory:
    """A message's history as a dead letter, from its headers; empty where they are missing or malformed."""

    attempts: int = 0
    """How many times it was dead-lettered."""
    first_rejected_at: datetime | None = None
    replay: str | None = None
    """The id of the replay that published it."""
    letter_id: UUID | None = None
    """The id of the dead letter that it was."""

    @classmethod
    def from_headers(cls, headers: Headers) -> "DeadLetterHistory":
        """Parse untrusted headers; invalid values are omitted."""
        replay = headers.get(REPLAY)
        return cls(
            _attempts(headers.get(ATTEMPTS)),
            parse_timestamp(headers.get(FIRST_REJECTED_AT)),
            replay if isinstance(replay, str) and len(replay) <= MOST_TEXT else None,
            _uuid(headers.get(LETTER_ID)),
        )

    def to_headers(self) -> dict[str, str | int]:
        """The headers for the next message."""
        headers: dict[str, str | int] = {ATTEMPTS: self.attempts}
        if self.first_rejected_at is not None:
            headers[FIRST_REJECTED_AT] = format_timestamp(self.first_rejected_at)
        if self.replay is not None:
            headers[REPLAY] = self.replay
        if self.letter_id is not None:
            headers[LETTER_ID] = str(self.letter_id)
        return headers


NO_HISTORY = DeadLetterHistory()


def history_headers(encoded: bytes) -> Headers:
    """Decode the headers of `HISTORY_HEADERS` from a message's properties, up to the first invalid field."""
    if _PREFIX not in encoded:
        return {}
    return properties.short_headers(encoded, HISTORY_HEADERS.__contains__, MOST_TEXT)


def all_headers(encoded: bytes) -> Headers:
    """Decode every header from a message's properties.

    If they are invalid: our own headers up to the first invalid field, and the bytes as `UNDECODABLE`.
    """
    try:
        return properties.every_header(encoded)
    except properties.Undecodable:
        return {**properties.short_headers(encoded, _is_ours, _MOST_OF_OURS), UNDECODABLE: encoded}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX)


def parse_timestamp(value: object) -> datetime | None:
    """A header's time in UTC, in whole milliseconds; None if it is not a time or out of range for the tables."""
    if not isinstance(value, str | datetime):
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return truncate_to_millis(read) if _FIRST_YEAR <= read.year <= _LAST_YEAR else None


def truncate_to_millis(time: datetime) -> datetime:
    """Truncate to milliseconds, which is what headers and tables hold."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def format_timestamp(time: datetime) -> str:
    """A time as headers and archive files have it: ISO 8601, in milliseconds."""
    return time.isoformat(timespec="milliseconds")


def _attempts(value: object) -> int:
    if not isinstance(value, str | int) or (isinstance(value, str) and len(value) > MOST_TEXT):
        return 0
    try:
        return max(0, min(int(value), _MOST_ATTEMPTS))
    except ValueError:
        return 0


def _uuid(value: object) -> UUID | None:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None
