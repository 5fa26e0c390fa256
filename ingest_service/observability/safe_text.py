"""Text of unknown origin as it may be shown: nothing in it moves a cursor, turns a line around or hides another."""

import re

# C0, DEL and C1 are what terminals obey; the bidirectional controls show text in another order than it has; U+2028 and
# U+2029 end a line for some programs, and half a surrogate pair cannot be written at all.
_CONTROLS = "\\x00-\\x1f\\x7f-\\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINE = re.compile(f"[{_CONTROLS}]")
_IN_LINES = re.compile(f"(?!\n)[{_CONTROLS}]")


def line(text: str) -> str:
    """The text in one line, with control characters as JSON writes them: `\\u001b`. JSON stays the same JSON."""
    return _IN_LINE.sub(_escaped, text)


def lines(text: str | bytes) -> str:
    """The same with its line ends left; of bytes, what is not UTF-8 is shown as `\\xff`."""
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    return _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
