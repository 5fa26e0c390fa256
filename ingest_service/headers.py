"""The headers of dead letters and replays: their names, and what a message's own headers say about its past."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

Headers = Mapping[str, object]
"""A message's headers as the broker has them; the values are AMQP's, and anybody may have written them."""

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

OF_A_PAST = frozenset({ATTEMPTS, FIRST_REJECTED_AT, LETTER_ID, REPLAY})
"""The headers that `Past` reads. The service keeps no others."""

MOST_TEXT = 100
"""Characters of a header of `OF_A_PAST`; what is longer is none of ours."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # what ClickHouse's DateTime64 holds, with room to spare
_MOST_ATTEMPTS = 2**31
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1  # what JSON readers take for one
_PER_VALUE = 60
"""About what a value costs in memory beside its text, with its place in a dict or list."""


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


def size(headers: Headers) -> int:
    """About how many bytes of memory headers take."""
    return sum(_PER_VALUE + len(name) + _size(value) for name, value in headers.items())


def shown(value: object) -> object:
    """A header's value as JSON holds it, without loss: bytes as base64, what JSON has no number for as text."""
    match value:
        case None | bool() | str() | datetime():
            return value
        case bytes() | bytearray():
            return {"base64": base64.b64encode(value).decode()}
        case dict():
            return {str(name): shown(each) for name, each in value.items()}
        case list():
            return [shown(each) for each in value]
        case _:
            return value if _is_number_of_json(value) else str(value)


def text(value: object, most: int) -> str:
    """A header's value as text of at most so many characters; of bytes that are no UTF-8, their escapes."""
    if isinstance(value, bytes | bytearray):
        return value[:most].decode(errors="backslashreplace")[:most]
    return str(value)[:most]


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


def _is_number_of_json(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and _LEAST_INTEGER <= value <= _MOST_INTEGER


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


def _size(value: object) -> int:
    match value:
        case str() | bytes() | bytearray():
            return len(value)
        case dict():
            return size(value)
        case list():
            return sum(_PER_VALUE + _size(each) for each in value)
        case _:
            return 0
