"""Times as operators write them: a date, a time, or a duration ago."""

import re
from datetime import UTC, datetime, timedelta

from ingest_service.errors import UserError

_AGO = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class BadTime(UserError):
    """A text is not a time."""


def parse(text: str) -> datetime:
    """Parse a time to UTC: `2026-11-24`, `2026-11-24T03:00` with or without an offset, or `90m`, `2h`, `7d` ago.

    Raises BadTime.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        read = datetime.fromisoformat(text.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime(
            f"invalid time {text!r}, expected 2026-11-24, 2026-11-24T03:00 (UTC), or 90m, 2h, 7d ago"
        ) from None
