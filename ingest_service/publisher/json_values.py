"""Which Python values JSON represents exactly, and how. All others are refused, never changed.

unchanged      None, bool, int, float, str, dict and list; subclasses are converted to these
as a number    Decimal, with exactly its digits
as an array    tuple
as an object   any other Mapping
as text        UUID; datetime, date and time in ISO 8601
as its value   Enum
refused        NaN and Infinity; keys that are not str; bytes, sets, dataclasses and all other objects; text that is
               not valid Unicode; a UTC offset that is not in whole minutes
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_MINUTE = timedelta(minutes=1)
_EXACT = frozenset({int, bool, type(None), UUID})
_ENTRY_BYTES = 5
"""Minimum JSON size of an object entry, excluding its key and text value: `"":0,`."""
_ITEM_BYTES = 2
_NAME_CHARACTERS = 60


class NotExact(Exception):
    """A value that JSON cannot represent exactly; the message has its path, never the value."""


class TooLarge(Exception):
    """A value whose JSON exceeds the size limit."""


def exact(fields: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    """Convert the fields of an event to a form that msgspec encodes exactly; returned unchanged if they already are.

    The work is bounded by `most_bytes` for any input. Raises NotExact, or TooLarge if the fields exceed `most_bytes`
    by a lower bound computed without encoding them.
    """
    if _remaining_after_fields(fields, most_bytes) >= 0:
        return fields
    return dict(_Copy(most_bytes).entries(fields, "$", 0))


def _remaining_after_fields(fields: dict[str, Any], remaining: int) -> int:
    """Remaining bytes after the fields; negative if they may be too large, or not exact, and need the slow path.

    This is the fast path, taken for every event: values that msgspec encodes exactly are not copied.
    """
    remaining -= len(fields) * _ENTRY_BYTES
    if remaining < 0:
        return remaining
    try:
        remaining -= sum(map(_LENGTH, fields))
    except TypeError:
        return -1  # a key that is not a str
    return _remaining_after_values(fields.values(), remaining)


def _remaining_after_items(items: list[Any] | tuple[Any, ...], remaining: int) -> int:
    remaining -= len(items) * _ITEM_BYTES
    return remaining if remaining < 0 else _remaining_after_values(items, remaining)


def _remaining_after_values(values: Iterable[Any], remaining: int) -> int:
    for value in values:
        kind = type(value)
        if kind is str:
            remaining -= len(value)
        elif kind not in _EXACT:
            check = _CHECKS.get(kind)
            if check is None:
                return -1
            remaining = check(value, remaining)
            if remaining < 0:
                return remaining
    return remaining


def _remaining_after_number(number: float, remaining: int) -> int:
    return remaining if math.isfinite(number) else -1


def _remaining_after_decimal(number: Decimal, remaining: int) -> int:
    return remaining if number.is_finite() else -1


def _remaining_after_datetime(value: datetime, remaining: int) -> int:
    return remaining if value.tzinfo is None or value.tzinfo is UTC else -1


_LENGTH = str.__len__
_CHECKS: Mapping[type, Callable[[Any, int], int]] = {
    float: _remaining_after_number,
    dict: _remaining_after_fields,
    list: _remaining_after_items,
    tuple: _remaining_after_items,
    Decimal: _remaining_after_decimal,
    datetime: _remaining_after_datetime,
}
"""Other types of which msgspec encodes some or all values exactly."""


class _Copy:
    """Copies values into a form that msgspec encodes exactly, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._remaining = most_bytes

    def entries(self, mapping: Mapping[Any, Any], place: str, depth: int) -> list[tuple[str, Any]]:
        """Copy the entries of a mapping. Raises NotExact for a duplicate key."""
        self._take(len(mapping) * _ENTRY_BYTES)
        found = {}
        for key, value in mapping.items():
            name = _key(key, place)
            self._take(len(name))
            if name in found:
                raise NotExact(f"duplicate key - at `{place}`")
            found[name] = self._value(value, _below(place, name, depth), depth + 1)
        return list(found.items())

    def _value(self, value: Any, place: str, depth: int) -> Any:  # noqa: C901, PLR0911  # one branch per type
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self._value(value.value, place, depth)
        if isinstance(value, str):
            self._take(len(value))
            return str.__str__(value)
        if isinstance(value, int):
            self._take(value.bit_length() // 4)  # a digit has fewer than 4 bits: a lower bound
            return int.__int__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NotExact(f"NaN and Infinity are not JSON numbers - at `{place}`")
            return float.__float__(value)
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise NotExact(f"NaN and Infinity are not JSON numbers - at `{place}`")
            return Decimal(value)
        if isinstance(value, Mapping):
            return dict(self.entries(value, place, depth))
        if isinstance(value, list | tuple):
            self._take(len(value) * _ITEM_BYTES)
            inside = f"{place}[...]"
            return [self._value(each, inside, depth + 1) for each in value]
        if type(value) is UUID:
            return str(value)
        if type(value) in (datetime, date, time):
            return _iso(value, place)
        raise NotExact(f"a value of type {type(value).__name__:.60} is not supported by JSON - at `{place}`")

    def _take(self, count: int) -> None:
        self._remaining -= count
        if self._remaining < 0:
            raise TooLarge


def _iso(value: date | time, place: str) -> str:
    offset = value.utcoffset() if isinstance(value, datetime | time) else None
    if offset is not None and offset % _MINUTE:
        raise NotExact(f"a UTC offset that is not in whole minutes - at `{place}`")
    return value.isoformat()


def _key(key: object, place: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise NotExact(f"a key of type {type(key).__name__:.60}, JSON keys are strings - at `{place}`")


def _below(place: str, name: str, depth: int) -> str:
    """The path of an entry. Only two levels have names from the contract; deeper names are crawled data."""
    return f"{place}.{name:.{_NAME_CHARACTERS}}" if depth < 2 else f"{place}[...]"
