"""A message to be published, and the result of publishing a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """The outcome of publishing a message."""

    CONFIRMED = "the broker has it"
    REFUSED = "the broker returned it (no queue is bound) or nacked it (a queue is full)"
    UNKNOWN = "no answer: it may be in the queue or not"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be published: persistent, mandatory, JSON."""

    routing_key: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The outcome of each message of a batch, by position."""

    outcomes: Sequence[Outcome]
    trouble: str
    """Why a message was refused or not answered; empty when all are confirmed."""

    @property
    def confirmed(self) -> bool:
        """Whether every message is confirmed."""
        return all(outcome is Outcome.CONFIRMED for outcome in self.outcomes)

    def of(self, outcome: Outcome) -> list[int]:
        """The positions of the messages with an outcome."""
        return [position for position, own in enumerate(self.outcomes) if own is outcome]
