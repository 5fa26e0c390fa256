"""Turns what a crawler knows about an event into the record that is published, or says why it cannot."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from os import urandom
from typing import Any

import msgspec

from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds, Reason, Validator
from ingest_service.publisher.json_values import NotExact, TooLarge, exact
from ingest_service.publisher.record import Record

MOST_BYTES = 4 * 2**20
"""What the service takes, by default, of one event."""

_BOUNDS = Bounds(body_bytes=2**40, earliest=datetime(1900, 1, 1, tzinfo=UTC), ahead=timedelta(days=365 * 200))
"""Which times are plausible is the service's setting. It dead-letters the others, where they can be looked at. How
large an event may be is the publisher's own."""

_VARIANT = "89ab"
"""The first digit of a UUID's variant, two of its bits are random."""


class NotOfItsType(Exception):
    """An event that cannot be of the type it is said to be; the message names the field, never a value."""


class _Builder:
    """Builds the payloads of one event type."""

    def __init__(self, event_type: EventType) -> None:
        self._routing_key = event_type.routing_key
        self._has_handle = any(each.name == "handle" for each in msgspec.structs.fields(event_type.struct))
        # The very check the service makes, so that what is sent is not dead-lettered there.
        self._validator = Validator(event_type, _BOUNDS)

    def record(self, event: Mapping[str, Any], most_bytes: int) -> Record:
        fields = dict(event)
        if fields.get("event_id") is None:
            fields["event_id"] = _new_id()
        if fields.get("event_timestamp") is None:
            fields["event_timestamp"] = datetime.now(UTC)
        if self._has_handle:
            fields["handle"] = _handle(fields)
        body = _ENCODE(exact(fields, most_bytes))
        if len(body) > most_bytes:
            raise TooLarge
        for _, rejection in self._validator.validate((body,)).rejected:
            raise NotOfItsType(str(rejection))
        return Record(self._routing_key, body)


_BUILDERS = {name: _Builder(event_type) for name, event_type in EVENT_TYPES.items()}
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


def record_of(event_type: str, event: Mapping[str, Any], most_bytes: int = MOST_BYTES) -> Record:
    """The record of an event, given as a mapping of its type's fields, of at most so many bytes.

    What is absent or None is filled in: event_id (a new UUID), event_timestamp (now) and, where the type has one,
    handle (YouTube: always the profile_id; otherwise the dimension `handle`). A datetime without a zone means UTC.
    Fields that the contract does not know are sent too: the service keeps them in the column `extra`. A value arrives
    as it is, or the event is refused: json_values.py says which.

    Raises NotOfItsType.
    """
    try:
        return _builder(event_type).record(event, most_bytes)
    except NotOfItsType:
        raise
    except NotExact as reason:
        raise NotOfItsType(str(reason)) from None
    except TooLarge:
        raise NotOfItsType(f"{Reason.TOO_LARGE}: more than {most_bytes} bytes") from None
    except UnicodeError:
        raise NotOfItsType("text that is not valid Unicode") from None
    except (TypeError, OverflowError) as error:
        raise NotOfItsType(f"not a mapping of JSON values: {error}") from None
    except Exception as error:  # noqa: BLE001  # a mapping's own code may raise anything, with any text
        raise NotOfItsType(f"not a mapping of JSON values: {type(error).__name__}") from None


def _builder(event_type: str) -> _Builder:
    try:
        return _BUILDERS[event_type]
    except KeyError:
        raise NotOfItsType(f"there is no event type {event_type!r:.60}; there are {', '.join(_BUILDERS)}") from None


def _new_id() -> str:
    """A random UUID, as str(uuid4()) in less than half the time."""
    digits = urandom(16).hex()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _handle(fields: Mapping[str, Any]) -> object:
    if fields.get("platform") == "YOUTUBE":
        return fields.get("profile_id")
    if (given := fields.get("handle")) is not None:
        return given
    dimensions = fields.get("dimensions")
    found = dimensions.get("handle") if isinstance(dimensions, Mapping) else None
    return found if isinstance(found, str) else None
