"""The interface between the broker and the pipeline: deliveries, and the lease under which they are acknowledged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ingest_service.broker.headers import Headers


class LeaseLost(Exception):
    """The channel of a message has closed: the message will be redelivered and can no longer be acknowledged."""


class Lease(Protocol):
    """One incarnation of a channel.

    A delivery tag is only valid in the incarnation that it was delivered in: after a channel closes, its number is
    reused and tags start at 1 again. A lease ends with its channel; the broker then requeues what was not acknowledged.
    """

    @property
    def alive(self) -> bool:
        """Whether acknowledging under this lease can still reach the broker."""
        ...

    async def dies_within(self, seconds: float) -> bool:
        """Wait for up to `seconds`; True as soon as the lease has ended."""
        ...

    async def ack(self, tag: int, *, multiple: bool) -> bool:
        """Acknowledge a tag, or every tag up to it. False if the lease has ended: the messages will be redelivered."""
        ...


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The messages of one read, in the broker's order."""

    lease: Lease
    tags: Sequence[int]
    bodies: Sequence[bytes]
    redelivered: int = 0
    headers: Mapping[int, Headers] = field(default_factory=dict)
    """The kept headers, by tag; most messages have none."""


Receive = Callable[[Deliveries], None]
