"""Escapes control characters in untrusted text, so that it cannot manipulate a terminal."""

import re

# Terminals obey C0, DEL and C1; bidirectional controls reorder what is displayed; U+2028 and U+2029 end a line for some
# programs, and unpaired surrogates cannot be encoded.
_CONTROLS = "\\x00-\\x1f\\x7f-\\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINE = re.compile(f"[{_CONTROLS}]")
_IN_LINES = re.compile(f"(?!\n)[{_CONTROLS}]")


def line(text: str) -> str:
    """Escape all control characters as JSON does (`\\u001b`), line ends too. JSON stays equivalent JSON."""
    return _IN_LINE.sub(_escaped, text)


def lines(text: str | bytes) -> str:
    """Escape control characters except line ends; in bytes, invalid UTF-8 is escaped as `\\xff`."""
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    return _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
