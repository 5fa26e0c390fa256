"""Publishes messages that cannot be stored to the error queue, with the reason in their headers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Protocol
from uuid import UUID

from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.dead_letters import headers
from ingest_service.dead_letters.headers import NO_HISTORY, DeadLetterHistory
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
    history: DeadLetterHistory = NO_HISTORY
    """Not empty for a message that was replayed."""


class Sends(Protocol):
    """The publisher that `DeadLetterQueue` needs."""

    async def send(self, messages: Sequence[Message]) -> PublishResult:
        """Publish messages together; the outcome of each."""
        ...


class DeadLetterQueue:
    """Makes and publishes one event type's dead letters."""

    def __init__(self, event_type: EventType, publisher: Sends) -> None:
        self._type = event_type
        self._publisher = publisher

    def letter(self, body: bytes, reason: Reason, detail: str, history: DeadLetterHistory, now: datetime) -> DeadLetter:
        """A dead letter. It keeps the id of its history, if that id can belong to this body."""
        letter_id = history.letter_id
        if letter_id is None or not belongs_to(letter_id, self._type.name, body):
            letter_id = new_letter_id(self._type.name, body)
        return DeadLetter(body, reason, detail, headers.truncate_to_millis(now), letter_id, history)

    async def publish(self, letters: Sequence[DeadLetter]) -> tuple[list[DeadLetter], str]:
        """Publish letters together. Returns those that the broker did not confirm, to be published again, and why."""
        messages = [Message(self._type.error_queue, letter.body, self._headers(letter)) for letter in letters]
        published = await self._publisher.send(messages)
        outcomes = zip(letters, published.outcomes, strict=True)
        return [letter for letter, outcome in outcomes if outcome is not Outcome.CONFIRMED], published.trouble

    def _headers(self, letter: DeadLetter) -> dict[str, str | int]:
        history = replace(
            letter.history,
            attempts=letter.history.attempts + 1,
            first_rejected_at=letter.history.first_rejected_at or letter.rejected_at,
            letter_id=letter.letter_id,
        )
        return {
            headers.REASON: letter.reason,
            headers.DETAIL: letter.detail[:_DETAIL_CHARACTERS],
            headers.EVENT_TYPE: self._type.name,
            headers.ORIGINAL_EXCHANGE: EXCHANGE,
            headers.ORIGINAL_ROUTING_KEY: self._type.routing_key,
            headers.LAST_REJECTED_AT: headers.format_timestamp(letter.rejected_at),
            headers.SERVICE_VERSION: version("gcc"),
            **history.to_headers(),
        }
