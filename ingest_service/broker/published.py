"""What is published, and what the broker said about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What became of a published message."""

    CONFIRMED = "the broker has it"
    REFUSED = "the broker returned it (no queue is bound) or nacked it (a queue is full)"
    UNKNOWN = "no answer: it may be in the queue or not"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: persistent, mandatory, JSON."""

    routing_key: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What the broker said about messages, by their position."""

    outcomes: Sequence[Outcome]
    trouble: str
    """What it said against one of them, or why there is no answer; empty when all are confirmed."""

    @property
    def confirmed(self) -> bool:
        """Whether it has all of them."""
        return all(outcome is Outcome.CONFIRMED for outcome in self.outcomes)

    def of(self, outcome: Outcome) -> list[int]:
        """The positions of the messages with an outcome."""
        return [position for position, own in enumerate(self.outcomes) if own is outcome]
