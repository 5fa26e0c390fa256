"""What a fault is."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.field import Field

Act = Callable[[Field], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. Two with the same target cannot go wrong at once."""

    name: str
    target: str
    strike: Act
    heal: Act
    seconds: float = 1.0
    """How long it lasts in the short form."""
    noticed_as: str | None = None
    """The verdict and reason by which the service counts its retries: a fault that nobody notices proves nothing."""
    seen: Callable[[Field], object] | None = None
    """The same for a fault that is no failed insert: what is true once it has struck."""
    redelivers: bool = False
    """Whether the broker may send messages again because of it: one without an event_id may then be two letters."""
    unless: Callable[[Field], str] = lambda _field: ""
    """Why it cannot be injected on this machine or these servers, if it cannot."""
