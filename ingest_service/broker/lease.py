"""What the rest of the service sees of the broker: deliveries, and the lease under which they may be acknowledged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ingest_service.broker.headers import Headers


class LeaseLost(Exception):
    """The channel of a message has closed: the message is the broker's again and can no longer be acknowledged."""


class Lease(Protocol):
    """One incarnation of a channel.

    A delivery tag means something only together with the incarnation it came from: after a channel closes, the same
    channel number comes back and tags start at 1 again. A lease dies with its channel; what it had delivered and not
    acknowledged is then the broker's again.
    """

    @property
    def alive(self) -> bool:
        """Whether acknowledging under this lease can still reach the broker."""
        ...

    async def dies_within(self, seconds: float) -> bool:
        """Wait, but no longer than the lease lives; True if it has died."""
        ...

    async def ack(self, tag: int, *, multiple: bool) -> bool:
        """Acknowledge a tag, or every tag up to it. False if the lease has died; the messages then come again."""
        ...


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Messages handed over by one read, in the broker's order."""

    lease: Lease
    tags: Sequence[int]
    bodies: Sequence[bytes]
    redelivered: int = 0
    headers: Mapping[int, Headers] = field(default_factory=dict)
    """By tag, of the few messages whose headers the consumer was asked to keep."""


Receive = Callable[[Deliveries], None]
