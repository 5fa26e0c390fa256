"""A moment on the command line: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

import click

_AGO = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str) -> datetime:
    """In UTC: `2026-11-24`, `2026-11-24T03:00` with an offset or without, or `90m`, `2h`, `7d` ago."""
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        read = datetime.fromisoformat(text.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"invalid time {text!r}, expected 2026-11-24, 2026-11-24T03:00 (UTC), or 90m, 2h, 7d ago"
        ) from None
