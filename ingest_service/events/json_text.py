"""Checks JSON as bytes, without decoding it. Each function makes a fixed number of passes over the text.

Bodies are untrusted and may be crafted: no function backtracks or recurses.
"""

from collections.abc import Mapping
from itertools import accumulate

import msgspec

_OPENS, _CLOSES = b"{[", b"}]"
_STEPS = bytes(1 if byte in _OPENS else 255 for byte in range(256))  # as signed bytes: 1 and -1
_ALL_BUT = {
    wanted: bytes(byte for byte in range(256) if byte not in wanted + b'"') for wanted in (_OPENS + _CLOSES, b":")
}


def brackets(text: bytes) -> int:
    """The number of opening brackets: an upper bound of the nesting."""
    # Most bodies have no array, and searching for a byte is ten times as fast as counting it.
    return text.count(b"{") + (b"[" in text and text.count(b"["))


def depth(body: bytes) -> int:
    """The nesting of objects and arrays; brackets in strings are not counted."""
    steps = memoryview(_outside_strings(body, _OPENS + _CLOSES).translate(_STEPS)).cast("b")
    return max(accumulate(steps), default=0)


def repeats_a_field(body: bytes, fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the outermost object has a name twice: moving fields would keep only one of its values.

    `fields` is the decoded object, which has each name once, and then fewer colons than the body.
    """
    values = _outside_strings(b",".join(fields.values()), b":")
    return len(_outside_strings(body, b":")) != len(fields) + len(values)


def _outside_strings(text: bytes, wanted: bytes) -> bytes:
    """The wanted characters of a JSON text outside of its strings."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(None, _ALL_BUT[wanted]).replace(b'""', b"")
    return b"".join(text.split(b'"')[::2])
