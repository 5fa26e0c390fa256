"""A message that can never be stored, on its way to the error queue with the reason why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Protocol

from ingest_service import headers
from ingest_service.admission import Reason
from ingest_service.events.contract import EXCHANGE, EventType
from ingest_service.headers import NO_PAST, Past

_DETAIL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A body exactly as it was received, and why it cannot be stored."""

    body: bytes
    reason: Reason
    detail: str
    past: Past = NO_PAST
    """What has become of the message before: a replayed one has been a dead letter already."""


class Publishes(Protocol):
    """What `DeadLetters` needs of a publisher."""

    async def publish(
        self, routing_key: str, bodies: Sequence[bytes], headers: Sequence[Mapping[str, str | int]] | None = None
    ) -> None:
        """Return when all are confirmed; raise NotConfirmed otherwise."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DeadLetters:
    """Publishes one event type's dead letters to its error queue."""

    def __init__(self, event_type: EventType, publisher: Publishes, now: Callable[[], datetime] = _utc_now) -> None:
        self._type = event_type
        self._publisher = publisher
        self._now = now

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Return when the broker has confirmed every letter. Raises NotConfirmed."""
        await self._publisher.publish(
            self._type.error_queue,
            [letter.body for letter in letters],
            [self._headers(letter) for letter in letters],
        )

    def _headers(self, letter: DeadLetter) -> dict[str, str | int]:
        now = headers.milliseconds(self._now())
        first = letter.past.first_rejected_at or now
        return {
            headers.REASON: letter.reason,
            headers.DETAIL: letter.detail[:_DETAIL_CHARACTERS],
            headers.EVENT_TYPE: self._type.name,
            headers.ORIGINAL_EXCHANGE: EXCHANGE,
            headers.ORIGINAL_ROUTING_KEY: self._type.routing_key,
            headers.LAST_REJECTED_AT: headers.moment_text(now),
            headers.SERVICE_VERSION: version("gcc"),
            **replace(letter.past, attempts=letter.past.attempts + 1, first_rejected_at=first).told(),
        }
