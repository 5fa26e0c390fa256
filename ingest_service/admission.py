"""Decides which messages of a batch may go into their table, and in what bytes."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import get_args

import msgspec

from ingest_service.events.contract import Event, EventType, Uint64, utc
from ingest_service.rows import Rows

_NESTING = 256
"""Below what msgspec's recursion and ClickHouse's parser bear (some 1,000), far above what anyone has sent."""

_CHUNK = 64
"""Bodies that are checked together. Few, so that what is decoded is gone again before it leaves the CPU's cache."""

_FIRST, _LAST = datetime(1901, 1, 1, tzinfo=UTC), datetime(2299, 1, 1, tzinfo=UTC)
"""Within what DateTime64(6) holds. ClickHouse clamps what is outside without a word."""

_MOST_UINT64 = 2**64 - 1
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Reason(StrEnum):
    """Why a message is dead-lettered; part of the contract with whoever reads the error queues."""

    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    INVALID_FIELD = "invalid_field"
    IMPLAUSIBLE_TIME = "implausible_time"
    REFUSED_BY_TABLE = "refused_by_table"


class Rejected(Exception):
    """A body that can never be stored as it is."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is too much of a body, and which event times are plausible."""

    body_bytes: int = 4 * 2**20
    earliest: datetime = datetime(2005, 1, 1, tzinfo=UTC)
    ahead: timedelta = timedelta(days=1)
    """How far a publisher's clock may be before ours."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A batch after admission: what may be inserted, and what may not with its position in the batch."""

    rows: Rows
    rejected: Sequence[tuple[int, Rejected]]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Admission:
    """Checks bodies of one event type.

    A body that fits is passed on as the very bytes that came, so numbers of any size stay exact. Fields that the
    contract does not know are moved, bytes unchanged, into the object ``extra``, which every raw table has. A field of
    the contract that is there twice is left to ClickHouse, which refuses it.
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

        self._get_unsigned = tuple(map(attrgetter, self._unsigned))
        self._get_other_times = tuple(map(attrgetter, self._other_times))

    def admit(self, bodies: Sequence[bytes]) -> Admitted:
        """Sort the bodies of a batch into what may be inserted and what may not."""
        rows: list[bytes] = []
        positions: list[int] = []
        times: list[datetime] = []
        rejected: list[tuple[int, Rejected]] = []
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
                    row, moment = self._admit(body, latest)
                except Rejected as rejection:
                    rejected.append((position, rejection))
                else:
                    rows.append(row)
                    positions.append(position)
                    times.append(moment)
        return Admitted(Rows(rows, positions, times), rejected)

    def _times_of_good(self, bodies: Sequence[bytes], latest: datetime) -> list[datetime] | None:
        """The event times of bodies that are good as they are, all of them; None where one must be looked at alone."""
        joined = b"\n".join(bodies)
        if (  # most bodies have no array, and looking for one byte is ten times as fast as counting it
            max(map(len, bodies)) > self._bounds.body_bytes
            or joined.count(b"{") + (b"[" in joined and joined.count(b"[")) > _NESTING
            or not (joined.isascii() or _is_utf8(joined))
        ):
            return None
        try:
            events = list(map(self._decode, bodies))
        except msgspec.DecodeError:
            return None
        times = list(map(_EVENT_TIME, events))
        good = (
            _are_between(self._bounds.earliest, times, latest)
            and all(max(map(get, events)) <= _MOST_UINT64 for get in self._get_unsigned)
            and all(_are_between(_FIRST, filter(None, map(get, events)), _LAST) for get in self._get_other_times)
        )
        return times if good else None

    def _admit(self, body: bytes, latest: datetime) -> tuple[bytes, datetime]:
        self._check_bytes(body)
        try:
            event = self._decode(body)
        except msgspec.ValidationError as error:
            event, body = self._fold(body, error)
        except msgspec.DecodeError as error:
            raise Rejected(Reason.NOT_JSON, str(error)) from None
        return body, self._check(event, latest)

    def _check_bytes(self, body: bytes) -> None:
        """Before anything is decoded: what would hurt the decoder, or pass it unseen inside of an object."""
        if len(body) > self._bounds.body_bytes:
            raise Rejected(Reason.TOO_LARGE, f"{len(body)} bytes, more than {self._bounds.body_bytes}")
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise Rejected(Reason.NOT_UTF8, f"{error.reason} at byte {error.start}") from None
        if body.count(b"{") + body.count(b"[") > _NESTING and _depth(body) > _NESTING:
            raise Rejected(Reason.TOO_DEEP, f"nested more than {_NESTING} levels deep")

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

    def _check(self, event: Event, latest: datetime) -> datetime:
        """What the types do not say; the event's time."""
        for name in self._unsigned:
            if getattr(event, name) > _MOST_UINT64:
                raise Rejected(Reason.INVALID_FIELD, f"Expected `int` of at most 64 bits - at `$.{name}`")
        for name in self._other_times:
            moment = getattr(event, name)
            if moment is not None and not _are_between(_FIRST, [moment], _LAST):
                raise Rejected(Reason.IMPLAUSIBLE_TIME, f"{name} {moment.isoformat()} is no time that a table holds")
        moment = utc(event.event_timestamp)
        if not self._bounds.earliest <= moment <= latest:
            raise Rejected(
                Reason.IMPLAUSIBLE_TIME,
                f"event_timestamp {moment.isoformat()} is not between {self._bounds.earliest.isoformat()} "
                f"and {latest.isoformat(timespec='seconds')}",
            )
        return moment


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_between(first: datetime, moments: Iterable[datetime], last: datetime) -> bool:
    """Whether all of them are; not, too, where some have a time zone and others have none."""
    moments = list(moments)
    if not moments:
        return True
    try:
        earliest, latest = min(moments), max(moments)
    except TypeError:
        return False
    return first <= utc(earliest) and utc(latest) <= last


def _is_event_time(each: msgspec.structs.FieldInfo) -> bool:
    return each.name == "event_timestamp"


def _depth(body: bytes) -> int:
    """How deep objects and arrays are nested, brackets in strings not counted."""
    deepest = depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _repeated_field(body: bytes) -> str | None:
    """A name that the outermost object has twice: moving fields would keep only one of its values."""
    outermost: Sequence[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        nonlocal outermost
        outermost = [name for name, _ in pairs]  # called for inner objects first

    json.loads(body, object_pairs_hook=note, parse_int=str)  # int() refuses what has too many digits
    return next((name for name, count in Counter(outermost).items() if count > 1), None)


_EVENT_TIME: Callable[[Event], datetime] = attrgetter("event_timestamp")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.encode
