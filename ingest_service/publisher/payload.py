"""Builds the record to publish from a crawler's event, and validates it as the service does."""

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
"""The service's default size limit for one event."""

_BOUNDS = Bounds(body_bytes=2**40, earliest=datetime(1900, 1, 1, tzinfo=UTC), ahead=timedelta(days=365 * 200))
"""Wide bounds: plausible times are a setting of the service, which dead-letters the others, where they can be
inspected. The size limit is the publisher's own."""

_VARIANT = "89ab"
"""The possible variant digits of a UUID: two of the bits are random."""


class InvalidEvent(Exception):
    """An event that is not valid for its type; the message names the field, never a value."""


class _Builder:
    """Builds the payloads of one event type."""

    def __init__(self, event_type: EventType) -> None:
        self._routing_key = event_type.routing_key
        self._has_handle = any(each.name == "handle" for each in msgspec.structs.fields(event_type.struct))
        # The same validation as in the service, so that sent events are not dead-lettered there.
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
            raise InvalidEvent(str(rejection))
        return Record(self._routing_key, body)


_BUILDERS = {name: _Builder(event_type) for name, event_type in EVENT_TYPES.items()}
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


def record_of(event_type: str, event: Mapping[str, Any], most_bytes: int = MOST_BYTES) -> Record:
    """Build the record of an event, a mapping of its type's fields, of at most `most_bytes` bytes.

    Fields that are absent or None get defaults: event_id (a new UUID), event_timestamp (now) and, if the type has it,
    handle (YouTube: always the profile_id; otherwise the dimension `handle`). A datetime without a zone is UTC.
    Fields unknown to the contract are sent too: the service stores them in the column `extra`. Values are encoded
    exactly or the event is refused (see json_values.py).

    Raises InvalidEvent.
    """
    try:
        return _builder(event_type).record(event, most_bytes)
    except InvalidEvent:
        raise
    except NotExact as reason:
        raise InvalidEvent(str(reason)) from None
    except TooLarge:
        raise InvalidEvent(f"{Reason.TOO_LARGE}: more than {most_bytes} bytes") from None
    except UnicodeError:
        raise InvalidEvent("text that is not valid Unicode") from None
    except (TypeError, OverflowError) as error:
        raise InvalidEvent(f"not a mapping of JSON values: {error}") from None
    except Exception as error:  # noqa: BLE001  # a custom mapping may raise any exception, with any text
        raise InvalidEvent(f"not a mapping of JSON values: {type(error).__name__}") from None


def _builder(event_type: str) -> _Builder:
    try:
        return _BUILDERS[event_type]
    except KeyError:
        raise InvalidEvent(f"unknown event type {event_type!r:.60}, expected one of {', '.join(_BUILDERS)}") from None


def _new_id() -> str:
    """A random UUID, like str(uuid4()) in less than half the time."""
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
