"""The headers of dead letters and replays: their names, and what a message's own headers say about its past."""

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
"""Ours alone, never sent: the bytes of properties that could not be read, so that an archived message keeps them."""

HISTORY_HEADERS = frozenset({ATTEMPTS, FIRST_REJECTED_AT, LETTER_ID, REPLAY})
"""The headers that `Past` reads. The service keeps no others."""

MOST_TEXT = 100
"""Characters of a header of `HISTORY_HEADERS`; what is longer is none of ours."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # what ClickHouse's DateTime64 holds, with room to spare
_MOST_ATTEMPTS = 2**31
_MOST_OF_OURS = 1_000
"""Characters of a header of ours in properties that cannot be decoded as a whole."""
_PREFIX = PREFIX.encode()


@dataclass(frozen=True, slots=True)
class Past:
    """What has become of a message before, by its own headers. Without any, and without sense in them: nothing."""

    attempts: int = 0
    """How many times it has been dead-lettered."""
    first_rejected_at: datetime | None = None
    replay: str | None = None
    """The replay that it came with."""
    letter_id: UUID | None = None
    """The letter that it has been before."""

    @classmethod
    def of(cls, headers: Headers) -> "Past":
        """Read it from headers, of which nothing is believed that cannot be."""
        replay = headers.get(REPLAY)
        return cls(
            _attempts(headers.get(ATTEMPTS)),
            moment(headers.get(FIRST_REJECTED_AT)),
            replay if isinstance(replay, str) and len(replay) <= MOST_TEXT else None,
            _uuid(headers.get(LETTER_ID)),
        )

    def told(self) -> dict[str, str | int]:
        """The headers that hand it on."""
        told: dict[str, str | int] = {ATTEMPTS: self.attempts}
        if self.first_rejected_at is not None:
            told[FIRST_REJECTED_AT] = moment_text(self.first_rejected_at)
        if self.replay is not None:
            told[REPLAY] = self.replay
        if self.letter_id is not None:
            told[LETTER_ID] = str(self.letter_id)
        return told


NO_PAST = Past()


def history_headers(encoded: bytes) -> Headers:
    """The headers of `HISTORY_HEADERS` in a message's encoded properties, as far as these can be read."""
    if _PREFIX not in encoded:
        return {}
    return properties.short_headers(encoded, HISTORY_HEADERS.__contains__, MOST_TEXT)


def all_headers(encoded: bytes) -> Headers:
    """Every header in a message's encoded properties.

    Where they cannot be decoded, our own headers up to the first error, and the bytes themselves as `UNDECODABLE`.
    """
    try:
        return properties.every_header(encoded)
    except properties.Undecodable:
        return {**properties.short_headers(encoded, _is_ours, _MOST_OF_OURS), UNDECODABLE: encoded}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX)


def moment(value: object) -> datetime | None:
    """A header's time to the millisecond, in UTC; None if it is none that a table could hold."""
    if not isinstance(value, str | datetime):
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return milliseconds(read) if _FIRST_YEAR <= read.year <= _LAST_YEAR else None


def milliseconds(moment: datetime) -> datetime:
    """The moment without what is finer: headers and tables hold milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def moment_text(moment: datetime) -> str:
    """A time as headers and files say it."""
    return moment.isoformat(timespec="milliseconds")


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
