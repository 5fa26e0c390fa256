"""Decides whether a message's body may go into its table, and in what bytes."""

import json
from collections import Counter
from datetime import datetime
from enum import StrEnum

import msgspec

from ingest_service.events.contract import Event, EventType

_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # DateTime64(6) holds 1900 to 2299 and silently clamps what is outside


class Reason(StrEnum):
    """Why a message is dead-lettered; part of the contract with whoever reads the error queues."""

    NOT_JSON = "not_json"
    INVALID_FIELD = "invalid_field"
    IMPLAUSIBLE_TIME = "implausible_time"
    REFUSED_BY_TABLE = "refused_by_table"


class Rejected(Exception):
    """A body that can never be stored as it is."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Admission:
    """Checks bodies of one event type.

    A body that fits is passed on as the very bytes that came, so numbers of any size stay exact. Fields that the
    contract does not know are moved, bytes unchanged, into the object ``extra``, which every raw table has.
    """

    def __init__(self, event_type: EventType) -> None:
        self._decode = msgspec.json.Decoder(event_type.struct).decode
        self._objects = tuple(
            field.name for field in msgspec.structs.fields(event_type.struct) if field.type is msgspec.Raw
        )
        self._known = {field.encode_name for field in msgspec.structs.fields(event_type.struct)}

    def admit(self, body: bytes) -> bytes:
        """The bytes to insert for a message's body. Raises Rejected, with the reason."""
        try:
            event = self._decode(body)
        except msgspec.ValidationError as error:
            event, body = self._fold(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Rejected(Reason.NOT_JSON, str(error)) from None
        self._check(event)
        return body

    def _fold(self, body: bytes, error: msgspec.ValidationError) -> tuple[Event, bytes]:
        """The event and body with unknown fields moved into ``extra``; the error again, if that was not its cause."""
        try:
            fields = _FIELDS.decode(body)
        except msgspec.DecodeError as other:
            raise Rejected(Reason.NOT_JSON, f"not a JSON object: {other}") from None
        if repeated := _repeated_field(body):
            raise Rejected(Reason.INVALID_FIELD, f"the field {repeated!r} is there more than once") from None
        known = {name: value for name, value in fields.items() if name in self._known}
        if len(known) == len(fields):
            raise Rejected(Reason.INVALID_FIELD, str(error)) from None
        try:
            event = self._decode(_ENCODE(known))
        except msgspec.ValidationError as other:
            raise Rejected(Reason.INVALID_FIELD, str(other)) from None
        extra = {name: value for name, value in fields.items() if name not in self._known}
        return event, _ENCODE({**known, "extra": extra})

    def _check(self, event: Event) -> None:
        for name in self._objects:
            if bytes(getattr(event, name))[:1] != b"{":
                raise Rejected(Reason.INVALID_FIELD, f"Expected `object` - at `$.{name}`")
        if not _plausible(event.event_timestamp):
            raise Rejected(
                Reason.IMPLAUSIBLE_TIME,
                f"event_timestamp {event.event_timestamp.isoformat()} is not between {_FIRST_YEAR} and {_LAST_YEAR}",
            )


def _repeated_field(body: bytes) -> str | None:
    """A name that the outermost object has twice: moving fields would keep only one of its values."""
    outermost: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        outermost[:] = [name for name, _ in pairs]  # called for inner objects first

    json.loads(body, object_pairs_hook=note)
    return next((name for name, count in Counter(outermost).items() if count > 1), None)


def _plausible(moment: datetime) -> bool:
    return _FIRST_YEAR <= moment.year <= _LAST_YEAR


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.encode
