"""Which values of Python JSON carries exactly, and in what form. Everything else is refused, never changed.

as it is       None, bool, int, float, str, dict and list; what inherits from these loses its class
as a number    Decimal, with exactly its digits
as an array    tuple
as an object   any other Mapping
as its text    UUID; datetime, date and time in ISO 8601
as its value   Enum
refused        NaN and Infinity; keys that are no str; bytes, sets, dataclasses and all other objects; text that is
               not valid Unicode; an offset from UTC that is not in whole minutes
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
"""What an entry of an object takes in JSON at least, beside its key and the text of its value: `"":0,`."""
_ITEM_BYTES = 2
_NAME_CHARACTERS = 60


class NotExact(Exception):
    """A value that JSON does not carry exactly; the message names its place, never the value."""


class TooLarge(Exception):
    """A value whose JSON is longer than allowed."""


def exact(fields: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    """The fields of an event in a form that msgspec encodes exactly: themselves, where they have it.

    The work is bounded by `most_bytes`, whatever is in the fields. Raises NotExact, or TooLarge for fields of which it
    is plain, without encoding them, that they are longer.
    """
    if _left_by_fields(fields, most_bytes) >= 0:
        return fields
    return dict(_Copy(most_bytes).entries(fields, "$", 0))


def _left_by_fields(fields: dict[str, Any], left: int) -> int:
    """How many bytes are left; negative where a value is of a kind, or so large, that it must be looked at closely.

    This is what every event costs. What msgspec encodes exactly is not copied.
    """
    left -= len(fields) * _ENTRY_BYTES
    if left < 0:
        return left
    try:
        left -= sum(map(_LENGTH, fields))
    except TypeError:
        return -1  # a key that is no str
    return _left_by_values(fields.values(), left)


def _left_by_items(items: list[Any] | tuple[Any, ...], left: int) -> int:
    left -= len(items) * _ITEM_BYTES
    return left if left < 0 else _left_by_values(items, left)


def _left_by_values(values: Iterable[Any], left: int) -> int:
    for value in values:
        kind = type(value)
        if kind is str:
            left -= len(value)
        elif kind not in _EXACT:
            look = _LOOKS.get(kind)
            if look is None:
                return -1
            left = look(value, left)
            if left < 0:
                return left
    return left


def _left_by_number(number: float, left: int) -> int:
    return left if math.isfinite(number) else -1


def _left_by_decimal(number: Decimal, left: int) -> int:
    return left if number.is_finite() else -1


def _left_by_datetime(value: datetime, left: int) -> int:
    return left if value.tzinfo is None or value.tzinfo is UTC else -1


_LENGTH = str.__len__
_LOOKS: Mapping[type, Callable[[Any, int], int]] = {
    float: _left_by_number,
    dict: _left_by_fields,
    list: _left_by_items,
    tuple: _left_by_items,
    Decimal: _left_by_decimal,
    datetime: _left_by_datetime,
}
"""Other kinds that msgspec encodes exactly, some of their values at least."""


class _Copy:
    """Copies values into the form that is encoded exactly, within a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def entries(self, mapping: Mapping[Any, Any], place: str, depth: int) -> list[tuple[str, Any]]:
        """The entries of a mapping; a name is there once."""
        self._take(len(mapping) * _ENTRY_BYTES)
        found = {}
        for key, value in mapping.items():
            name = _key(key, place)
            self._take(len(name))
            if name in found:
                raise NotExact(f"a key is there more than once - at `{place}`")
            found[name] = self._value(value, _below(place, name, depth), depth + 1)
        return list(found.items())

    def _value(self, value: Any, place: str, depth: int) -> Any:  # noqa: C901, PLR0911  # one branch for a kind
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self._value(value.value, place, depth)
        if isinstance(value, str):
            self._take(len(value))
            return str.__str__(value)
        if isinstance(value, int):
            self._take(value.bit_length() // 4)  # a digit has fewer than 4 bits: never more than it takes
            return int.__int__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NotExact(f"NaN and Infinity are no numbers of JSON - at `{place}`")
            return float.__float__(value)
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise NotExact(f"NaN and Infinity are no numbers of JSON - at `{place}`")
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
        raise NotExact(f"a value of the type {type(value).__name__:.60} is not sent, JSON has no such - at `{place}`")

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge


def _iso(value: date | time, place: str) -> str:
    offset = value.utcoffset() if isinstance(value, datetime | time) else None
    if offset is not None and offset % _MINUTE:
        raise NotExact(f"an offset from UTC that is not in whole minutes - at `{place}`")
    return value.isoformat()


def _key(key: object, place: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise NotExact(f"a key of the type {type(key).__name__:.60} is not sent, JSON has text only - at `{place}`")


def _below(place: str, name: str, depth: int) -> str:
    """Two levels have names by the contract; what is below is the crawled thing's."""
    return f"{place}.{name:.{_NAME_CHARACTERS}}" if depth < 2 else f"{place}[...]"
