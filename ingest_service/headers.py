"""The headers of dead letters and replays: their names, and what a message's own headers say about its past."""

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
REPLAY = "x-gcc-replay"
SERVICE_VERSION = "x-gcc-service-version"
LETTER_ID = "x-gcc-letter-id"

_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # what ClickHouse's DateTime64 holds, with room to spare
_MOST_ATTEMPTS = 2**31


def tell_of_a_past(headers: Headers) -> bool:
    """Whether a message has been a dead letter before; nearly none has, and only their headers are kept."""
    return any(name.startswith(PREFIX) for name in headers)


@dataclass(frozen=True, slots=True)
class Past:
    """What has become of a message before, by its own headers. Without any, and without sense in them: nothing."""

    attempts: int = 0
    """How many times it has been dead-lettered."""
    first_rejected_at: datetime | None = None
    replay: str | None = None
    """The replay that it came with."""
    letter_id: UUID | None = None
    """What it has been called as a dead letter."""

    @classmethod
    def of(cls, headers: Headers) -> "Past":
        """Read it from headers, of which nothing is believed that cannot be."""
        replay = headers.get(REPLAY)
        return cls(
            _attempts(headers.get(ATTEMPTS)),
            moment(headers.get(FIRST_REJECTED_AT)),
            replay if isinstance(replay, str) else None,
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


def moment(value: object) -> datetime | None:
    """A header's time to the millisecond, in UTC; None if it is none that a table could hold."""
    try:
        read = datetime.fromisoformat(str(value))
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


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value)) if value is not None else None
    except ValueError:
        return None


def _attempts(value: object) -> int:
    try:
        return max(0, min(int(str(value)), _MOST_ATTEMPTS))
    except ValueError:
        return 0
