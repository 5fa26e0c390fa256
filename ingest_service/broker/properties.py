"""Decodes a message's headers from its properties. Any bytes are handled, at a cost bounded by their size.

The properties are a content header's bytes after the twelve fixed ones: flags, then the fields that the flags announce.
They are untrusted, so pamqp, which aiormq decodes them with, is not used: it copies the rest of a table at each field,
recurses as deep as tables are nested, and fails for a time that no datetime can hold.
"""

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from ingest_service.broker.headers import Headers

_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _MORE_FLAGS = 0x8000, 0x4000, 0x2000, 0x0001
_SHORT = struct.Struct(">H").unpack_from
_LONG = struct.Struct(">I").unpack_from
_DECIMAL = struct.Struct(">Bi").unpack_from

_MOST_VALUES = 1_000
_DEEPEST = 16
_NUMBERS = {
    ord("b"): struct.Struct(">b"),
    ord("B"): struct.Struct(">B"),
    ord("s"): struct.Struct(">h"),
    ord("u"): struct.Struct(">H"),
    ord("I"): struct.Struct(">i"),
    ord("i"): struct.Struct(">I"),
    ord("l"): struct.Struct(">q"),
    ord("L"): struct.Struct(">q"),
    ord("f"): struct.Struct(">f"),
    ord("d"): struct.Struct(">d"),
    ord("T"): struct.Struct(">Q"),
}
_BOOL, _DECIMAL_TYPE, _TIME, _TEXT, _BYTES, _ARRAY, _TABLE, _VOID = map(ord, "tDTSxAFV")
_SIZES = {**{kind: number.size for kind, number in _NUMBERS.items()}, _BOOL: 1, _DECIMAL_TYPE: 5, _VOID: 0}
_WITH_LENGTH = {_TEXT, _BYTES, _ARRAY, _TABLE}


class Undecodable(Exception):
    """The properties are not valid AMQP, or hold more values than are decoded."""


_Field = tuple[bytes, int, int, int]
"""A name, the value's type, and the offsets of its bytes (after the length, for values that have one)."""


def every_header(properties: bytes) -> Headers:
    """Every header. Raises Undecodable."""
    return _Values(properties).headers()


def short_headers(properties: bytes, wanted: Callable[[str], bool], most: int) -> Headers:
    """The wanted headers that are integers or texts of at most `most` bytes, up to the first field that is invalid."""
    found: dict[str, object] = {}
    try:
        for count, (raw, kind, start, end) in enumerate(_fields_of_headers(properties)):
            if count == _MOST_VALUES:
                break
            if (name := _name(raw)) and wanted(name):
                if kind == _TEXT and end - start <= most:
                    found[name] = properties[start:end].decode(errors="replace")
                elif kind in _NUMBERS and kind != _TIME:
                    found[name] = _NUMBERS[kind].unpack_from(properties, start)[0]
    except Undecodable:
        pass  # the fields before it are valid
    return found


def _fields_of_headers(properties: bytes) -> Iterator[_Field]:
    start, end = _place_of_headers(properties)
    return _fields(properties, start, end)


def _place_of_headers(properties: bytes) -> tuple[int, int]:
    """The start and end offset of the header table's fields; equal if there is no table."""
    try:
        flags, at = _SHORT(properties, 0)[0], 2
        if not flags & _HEADERS:
            return at, at
        if flags & _MORE_FLAGS:
            raise Undecodable
        for text in (_CONTENT_TYPE, _CONTENT_ENCODING):
            if flags & text:
                at += 1 + properties[at]
        return at + 4, _bounded(at + 4 + _LONG(properties, at)[0], len(properties))
    except (struct.error, IndexError):
        raise Undecodable from None


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    """The fields of a table; nested values are not decoded. Raises Undecodable."""
    while at < end:
        after_name = _bounded(at + 1 + data[at], end)
        kind, start, after = _value_at(data, after_name, end)
        yield data[at + 1 : after_name], kind, start, after
        at = after


def _value_at(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """A value's type, and the start and end offset of its bytes."""
    start = _bounded(at + 1, end)
    kind = data[at]
    if kind in _WITH_LENGTH:
        start = _bounded(start + 4, end)
        return kind, start, _bounded(start + _LONG(data, start - 4)[0], end)
    size = _SIZES.get(kind)
    if size is None:
        raise Undecodable
    return kind, start, _bounded(start + size, end)


def _bounded(at: int, end: int) -> int:
    if at > end:
        raise Undecodable
    return at


def _name(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")


class _Values:
    """Decodes the values of one message's headers, up to a limit in number and depth."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MOST_VALUES

    def headers(self) -> dict[str, object]:
        return self._table(*_place_of_headers(self._data), 0)

    def _table(self, start: int, end: int, depth: int) -> dict[str, object]:
        return {
            _name(name): self._value(kind, begin, after, depth)
            for name, kind, begin, after in _fields(self._data, start, end)
        }

    def _array(self, at: int, end: int, depth: int) -> list[object]:
        values = []
        while at < end:
            kind, start, at = _value_at(self._data, at, end)
            values.append(self._value(kind, start, at, depth))
        return values

    def _value(self, kind: int, start: int, end: int, depth: int) -> object:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise Undecodable
        if kind == _TABLE:
            return self._table(start, end, depth + 1)
        if kind == _ARRAY:
            return self._array(start, end, depth + 1)
        return _plain_value(self._data, kind, start, end)


def _plain_value(data: bytes, kind: int, start: int, end: int) -> object:
    if kind == _TEXT:
        return _text(data[start:end])
    if kind == _BYTES:
        return data[start:end]
    if kind == _BOOL:
        return data[start] != 0
    if kind == _VOID:
        return None
    if kind == _DECIMAL_TYPE:
        scale, digits = _DECIMAL(data, start)
        return Decimal(digits).scaleb(-scale)
    number = _NUMBERS[kind].unpack_from(data, start)[0]
    return _time(number) if kind == _TIME else number


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _time(seconds: int) -> datetime | int:
    """A time in seconds; the number itself if it is out of range for a datetime, as microseconds are."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return seconds
