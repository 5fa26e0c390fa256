"""The base of all events, and the definition of an event type (the contract with the crawlers)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

EXCHANGE = "beat.dx"


class JsonObject(Struct, frozen=True, gc=False):
    """An open set of names: validated as a JSON object and not decoded; the table gets the original bytes."""


EMPTY_OBJECT = JsonObject()

Metrics = dict[str, float | str | bool | list[Any] | dict[str, Any] | None]
"""name -> number. Its values are read, unlike those of a JsonObject: one number that is JSON and too large for a double
(1e999) would make ClickHouse's JSON functions see no metric at all."""

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Amount = int | float
"""Money: in the table a Decimal(38, 9)."""
Uint64 = Annotated[int, Meta(ge=0)]


class Event(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An observation of a crawler. event_id identifies it across redeliveries and replays."""

    event_id: UUID
    """Identifies the event across redeliveries and replays."""
    platform: str
    """The platform, as the crawler names it: INSTAGRAM, YOUTUBE, ..."""
    event_timestamp: datetime
    """When it happened, by the publisher's clock; without a zone it is UTC."""


def utc(time: datetime) -> datetime:
    """A time with its zone; one without a zone is UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class SourcedEvent(Event, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An event with the source of the crawl: graphapi, rapidapi, ..."""

    source: str
    """Where the crawl got it from: graphapi, rapidapi, ..."""


class SnapshotEvent(SourcedEvent, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An event with measurements: metrics are name -> number, dimensions name -> string, number, bool or null."""

    metrics: Metrics = {}
    """name -> number, as a JSON object."""
    dimensions: JsonObject = EMPTY_OBJECT
    """name -> string, number, bool or null, as a JSON object."""


@dataclass(frozen=True)
class EventType:
    """One type of event: its name fixes its routing key, its queues and its table."""

    name: str
    struct: type[Event]

    @property
    def description(self) -> str:
        """The meaning of an event of this type, in one sentence."""
        return (self.struct.__doc__ or "").strip()

    @property
    def routing_key(self) -> str:
        """The routing key crawlers publish with, to EXCHANGE."""
        return f"{self.name}_events"

    @property
    def queue(self) -> str:
        """The queue the service consumes."""
        return f"{self.routing_key}_q"

    @property
    def error_queue(self) -> str:
        """The queue of dead letters, which is also their routing key."""
        return f"error.{self.queue}"

    @property
    def table(self) -> str:
        """The raw table in ClickHouse, with its database."""
        return f"_e.{self.name}_events"
