"""A message that can never be stored, on its way to the error queue with the reason why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Protocol

from ingest_service.admission import Reason
from ingest_service.events.contract import EXCHANGE, EventType

_DETAIL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A body exactly as it was received, and why it cannot be stored."""

    body: bytes
    reason: Reason
    detail: str


class Publishes(Protocol):
    """What `DeadLetters` needs of a publisher."""

    async def publish(
        self, routing_key: str, bodies: Sequence[bytes], headers: Sequence[dict[str, str]] | None = None
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

    def _headers(self, letter: DeadLetter) -> dict[str, str]:
        return {
            "x-gcc-reason": letter.reason,
            "x-gcc-detail": letter.detail[:_DETAIL_CHARACTERS],
            "x-gcc-event-type": self._type.name,
            "x-gcc-original-exchange": EXCHANGE,
            "x-gcc-original-routing-key": self._type.routing_key,
            "x-gcc-rejected-at": self._now().isoformat(timespec="milliseconds"),
            "x-gcc-service-version": version("gcc"),
        }
