"""A message's headers as the broker delivers them: their type, size in memory, and values as JSON or text."""

import base64
import math
from collections.abc import Callable, Mapping
from datetime import datetime

Headers = Mapping[str, object]
"""A message's headers. The values are of AMQP's types, and untrusted."""

HeaderReader = Callable[[bytes], Headers]
"""Reads from a message's encoded properties the headers that a consumer keeps."""

_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1  # what JSON readers accept as an integer
_PER_VALUE = 60
"""Approximate memory of a value beside its text, with its place in a dict or list, in bytes."""


def size(headers: Headers) -> int:
    """The approximate memory that headers take, in bytes."""
    return sum(_PER_VALUE + len(name) + _size(value) for name, value in headers.items())


def shown(value: object) -> object:
    """Convert a header's value to JSON without loss: bytes to base64, numbers that JSON lacks to text."""
    match value:
        case None | bool() | str() | datetime():
            return value
        case bytes() | bytearray():
            return {"base64": base64.b64encode(value).decode()}
        case dict():
            return {str(name): shown(each) for name, each in value.items()}
        case list():
            return [shown(each) for each in value]
        case _:
            return value if _is_number_of_json(value) else str(value)


def text(value: object, most: int) -> str:
    """Convert a header's value to text of at most `most` characters; invalid UTF-8 is escaped."""
    if isinstance(value, bytes | bytearray):
        return value[:most].decode(errors="backslashreplace")[:most]
    return str(value)[:most]


def _is_number_of_json(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and _LEAST_INTEGER <= value <= _MOST_INTEGER


def _size(value: object) -> int:
    match value:
        case str() | bytes() | bytearray():
            return len(value)
        case dict():
            return size(value)
        case list():
            return sum(_PER_VALUE + _size(each) for each in value)
        case _:
            return 0
