"""Validates the messages of a batch: which may be inserted, as which bytes, and why the others may not."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import get_args
from uuid import UUID

import msgspec

from ingest_service.events import json_text
from ingest_service.events.contract import Amount, Event, EventType, Uint64, utc

_NESTING = 256
"""Below the limits of msgspec's recursion and ClickHouse's parser (some 1,000), far above that of real events."""

_CHUNK = 64
"""Bodies that are checked together: few, so that the decoded events stay in the CPU's cache."""

_FIRST, _LAST = datetime(1901, 1, 1, tzinfo=UTC), datetime(2299, 1, 1, tzinfo=UTC)
"""The range of DateTime64(6). ClickHouse clamps times outside of it silently."""

_MOST_UINT64 = 2**64 - 1
_MOST_AMOUNT = Decimal(10) ** 29
_TIME_TEXT = re.compile(rb'"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,19})?(Z|[+-]\d\d:?\d\d)?"').fullmatch
"""The times that ClickHouse parses. The contract allows more: lower-case t and z, longer fractions."""

_TWICE = "a field is there more than once"

_TOGETHER = 2**20
"""Bytes of bodies that are decoded together at most: decoded they may take thirty times as much."""

_TOO_SHORT_TO_NEST = 2 * _NESTING
"""A valid body of at most this many bytes cannot be nested too deep. Most bodies are so short."""


class Reason(StrEnum):
    """Why a message is dead-lettered; part of the contract with consumers of the error queues."""

    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    INVALID_FIELD = "invalid_field"
    IMPLAUSIBLE_TIME = "implausible_time"
    REFUSED_BY_TABLE = "refused_by_table"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a body can never be stored as it is."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class _Rejected(Exception):
    """Carries a Rejection out of a check. Not kept: its traceback would keep every body of the batch in memory."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.rejection = Rejection(reason, detail)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest body, and the plausible event times."""

    body_bytes: int = 4 * 2**20
    earliest: datetime = datetime(2005, 1, 1, tzinfo=UTC)
    ahead: timedelta = timedelta(days=1)
    """How far an event's time may be ahead of our clock."""


@dataclass(frozen=True, slots=True)
class Validated:
    """The result for a batch: the valid rows, in three columns, and the rejected messages."""

    rows: Sequence[bytes]
    positions: Sequence[int]
    """Each row's position in the batch."""
    times: Sequence[datetime]
    """Each row's event_timestamp; one without a time zone is UTC."""
    rejected: Sequence[tuple[int, Rejection]]
    """With their positions in the batch."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Validator:
    """Checks bodies of one event type.

    A valid body is inserted as the original bytes, so numbers of any size stay exact. Fields unknown to the contract
    are moved, bytes unchanged, into the object ``extra``, which every raw table has. A duplicate field of the contract
    is left to ClickHouse, which refuses it.
    """

    def __init__(self, event_type: EventType, bounds: Bounds, now: Callable[[], datetime] = _utc_now) -> None:
        fields = msgspec.structs.fields(event_type.struct)
        self._decode = msgspec.json.Decoder(event_type.struct).decode
        self._bounds = bounds
        self._now = now
        self._known = {each.encode_name for each in fields}
        self._unsigned = tuple(each.name for each in fields if each.type == Uint64)
        self._other_times = tuple(
            each.name for each in fields if datetime in (each.type, *get_args(each.type)) and not _is_event_time(each)
        )

        self._strictly = {each.encode_name: fits for each in fields if (fits := _strict_check(each.type))}
        self._get_unsigned = tuple(map(attrgetter, self._unsigned))
        self._get_other_times = tuple(map(attrgetter, self._other_times))

    def validate(self, bodies: Sequence[bytes]) -> Validated:
        """Validate the bodies of a batch."""
        rows: list[bytes] = []
        positions: list[int] = []
        times: list[datetime] = []
        rejected: list[tuple[int, Rejection]] = []
        latest = self._now() + self._bounds.ahead
        for start in range(0, len(bodies), _CHUNK):
            chunk = bodies[start : start + _CHUNK]
            good = self._times_of_good(chunk, latest)
            if good is not None:
                rows += chunk
                positions += range(start, start + len(chunk))
                times += good
                continue
            for position, body in enumerate(chunk, start):
                try:
                    row, time = self._validate(body, latest)
                except _Rejected as error:
                    rejected.append((position, error.rejection))
                else:
                    rows.append(row)
                    positions.append(position)
                    times.append(time)
        return Validated(rows, positions, times, rejected)

    def look_again(self, rows: Sequence[bytes], positions: Sequence[int], times: Sequence[datetime]) -> Validated:
        """Validate rows of which the table has refused one, by the rules in which it is stricter than the contract.

        Such rows are rare, and these checks cost more than decoding, so they run only after a failed insert: a batch
        full of such rows then costs one insert, not two for each of them. Every row rejected here would be refused.
        """
        accepted: list[tuple[bytes, int, datetime]] = []
        rejected: list[tuple[int, Rejection]] = []
        for row, position, time in zip(rows, positions, times, strict=True):
            if why := self._too_strict_for(row):
                rejected.append((position, Rejection(Reason.INVALID_FIELD, why)))
            else:
                accepted.append((row, position, time))
        kept, kept_positions, kept_times = zip(*accepted, strict=True) if accepted else ((), (), ())
        return Validated(kept, kept_positions, kept_times, rejected)

    def _too_strict_for(self, row: bytes) -> str | None:
        """Why ClickHouse refuses a valid row; None if it does not."""
        fields = _FIELDS.decode(row)
        if json_text.repeats_a_field(row, fields):
            return _TWICE
        for name, fits in self._strictly.items():
            value = bytes(fields.get(name, b"null"))
            if value != b"null" and not fits(value):
                return f"the table cannot hold it - at `$.{name}`"
        return None

    def _times_of_good(self, bodies: Sequence[bytes], latest: datetime) -> list[datetime] | None:
        """The event times if all bodies are valid unchanged; None if each must be checked on its own."""
        largest = max(map(len, bodies))
        if largest > min(self._bounds.body_bytes, _TOGETHER):
            return None
        joined = b"\n".join(bodies)
        if (
            len(joined) > _TOGETHER
            or (largest > _TOO_SHORT_TO_NEST and json_text.brackets(joined) > _NESTING)
            or not (joined.isascii() or _is_utf8(joined))
        ):
            return None
        try:
            events = list(map(self._decode, bodies))
        except (msgspec.DecodeError, RecursionError):
            return None
        times = list(map(_EVENT_TIME, events))
        good = (
            _are_between(self._bounds.earliest, times, latest)
            and all(max(map(get, events)) <= _MOST_UINT64 for get in self._get_unsigned)
            and all(_are_between(_FIRST, filter(None, map(get, events)), _LAST) for get in self._get_other_times)
        )
        return times if good else None

    def _validate(self, body: bytes, latest: datetime) -> tuple[bytes, datetime]:
        self._check_bytes(body)
        try:
            event = self._decode(body)
        except msgspec.ValidationError as error:
            event, body = self._move_unknown_fields(body, error)
        except msgspec.DecodeError as error:
            raise _Rejected(Reason.NOT_JSON, str(error)) from None
        return body, self._check(event, latest)

    def _check_bytes(self, body: bytes) -> None:
        """Check what must be known before decoding: size, encoding, and nesting."""
        if len(body) > self._bounds.body_bytes:
            raise _Rejected(Reason.TOO_LARGE, f"{len(body)} bytes, more than {self._bounds.body_bytes}")
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise _Rejected(Reason.NOT_UTF8, f"{error.reason} at byte {error.start}") from None
        if json_text.brackets(body) > _NESTING and json_text.depth(body) > _NESTING:
            raise _Rejected(Reason.TOO_DEEP, f"nested more than {_NESTING} levels deep")

    def _move_unknown_fields(self, body: bytes, error: msgspec.ValidationError) -> tuple[Event, bytes]:
        """The event and body with unknown fields moved into ``extra``; rejects the body if they were not the cause."""
        try:
            fields = _FIELDS.decode(body)
        except msgspec.DecodeError as other:
            raise _Rejected(Reason.NOT_JSON, f"not a JSON object: {other}") from None
        if json_text.repeats_a_field(body, fields):
            raise _Rejected(Reason.INVALID_FIELD, _TWICE) from None
        known = {name: value for name, value in fields.items() if name in self._known}
        if len(known) == len(fields):
            raise _Rejected(Reason.INVALID_FIELD, str(error)) from None
        try:
            event = self._decode(_ENCODE(known))
        except msgspec.ValidationError as other:
            raise _Rejected(Reason.INVALID_FIELD, str(other)) from None
        extra = {name: value for name, value in fields.items() if name not in self._known}
        return event, _ENCODE({**known, "extra": extra})

    def _check(self, event: Event, latest: datetime) -> datetime:
        """Check what types cannot express, and return the event's time."""
        for name in self._unsigned:
            if getattr(event, name) > _MOST_UINT64:
                raise _Rejected(Reason.INVALID_FIELD, f"Expected `int` of at most 64 bits - at `$.{name}`")
        for name in self._other_times:
            time = getattr(event, name)
            if time is not None and not _are_between(_FIRST, [time], _LAST):
                raise _Rejected(Reason.IMPLAUSIBLE_TIME, f"{name} {time.isoformat()} is out of range for DateTime64")
        time = utc(event.event_timestamp)
        if not self._bounds.earliest <= time <= latest:
            raise _Rejected(
                Reason.IMPLAUSIBLE_TIME,
                f"event_timestamp {time.isoformat()} is not between {self._bounds.earliest.isoformat()} "
                f"and {latest.isoformat(timespec='seconds')}",
            )
        return time


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_between(first: datetime, times: Iterable[datetime], last: datetime) -> bool:
    """Whether every time is within [first, last]; False where naive and aware times are mixed."""
    times = list(times)
    if not times:
        return True
    try:
        earliest, latest = min(times), max(times)
    except TypeError:
        return False
    return first <= utc(earliest) and utc(latest) <= last


def _strict_check(kind: object) -> Callable[[bytes], bool] | None:
    """A check of a value's text for the types in which ClickHouse is stricter than the contract."""
    if datetime in (kind, *get_args(kind)):
        return lambda text: _TIME_TEXT(text) is not None
    if kind == Uint64:
        return lambda text: text != b"-0"
    if kind == Amount:
        return lambda text: Decimal(text.decode()).copy_abs() < _MOST_AMOUNT
    if kind is UUID:
        return lambda text: b"\\" not in text
    return None


def _is_event_time(each: msgspec.structs.FieldInfo) -> bool:
    return each.name == "event_timestamp"


_EVENT_TIME: Callable[[Event], datetime] = attrgetter("event_timestamp")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.encode
