"""A message that can never be stored, on its way to the error queue with the reason why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Protocol
from uuid import UUID

from ingest_service.broker.published import Message, Outcome, Published
from ingest_service.dead_letters import headers
from ingest_service.dead_letters.headers import NO_PAST, Past
from ingest_service.dead_letters.ids import belongs_to, new_letter_id
from ingest_service.events.contract import EXCHANGE, EventType
from ingest_service.events.validation import Reason

_DETAIL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A body exactly as it was received, and why it cannot be stored."""

    body: bytes
    reason: Reason
    detail: str
    rejected_at: datetime
    letter_id: UUID
    past: Past = NO_PAST
    """What has become of the message before: a replayed one has been a dead letter already."""


class Sends(Protocol):
    """What `DeadLetters` needs of a publisher."""

    async def send(self, messages: Sequence[Message]) -> Published:
        """Publish messages together; what became of each."""
        ...


class DeadLetters:
    """Makes and publishes one event type's dead letters."""

    def __init__(self, event_type: EventType, publisher: Sends) -> None:
        self._type = event_type
        self._publisher = publisher

    def letter(self, body: bytes, reason: Reason, detail: str, past: Past, now: datetime) -> DeadLetter:
        """A letter, with the id that it has had before if its past tells one that can be its own."""
        known = past.letter_id
        if known is None or not belongs_to(known, self._type.name, body):
            known = new_letter_id(self._type.name, body)
        return DeadLetter(body, reason, detail, headers.milliseconds(now), known, past)

    async def publish(self, letters: Sequence[DeadLetter]) -> tuple[list[DeadLetter], str]:
        """Publish letters together: those that the broker did not confirm, and why; they are to be published again."""
        messages = [Message(self._type.error_queue, letter.body, self._headers(letter)) for letter in letters]
        published = await self._publisher.send(messages)
        outcomes = zip(letters, published.outcomes, strict=True)
        return [letter for letter, outcome in outcomes if outcome is not Outcome.CONFIRMED], published.trouble

    def _headers(self, letter: DeadLetter) -> dict[str, str | int]:
        past = replace(
            letter.past,
            attempts=letter.past.attempts + 1,
            first_rejected_at=letter.past.first_rejected_at or letter.rejected_at,
            letter_id=letter.letter_id,
        )
        return {
            headers.REASON: letter.reason,
            headers.DETAIL: letter.detail[:_DETAIL_CHARACTERS],
            headers.EVENT_TYPE: self._type.name,
            headers.ORIGINAL_EXCHANGE: EXCHANGE,
            headers.ORIGINAL_ROUTING_KEY: self._type.routing_key,
            headers.LAST_REJECTED_AT: headers.moment_text(letter.rejected_at),
            headers.SERVICE_VERSION: version("gcc"),
            **past.told(),
        }
