"""What a crawler process writes while a company moves over from PostgreSQL: rows, events, or both."""

import logging
import os
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest_service.errors import UserError

VARIABLE = "GCC_LEGACY_WRITES"
ZONE_VARIABLE = "GCC_LEGACY_ZONE"

_logger = logging.getLogger(__name__)


class LegacyWrites(StrEnum):
    """Where a log object of the crawlers goes."""

    BOTH = "both"
    """A row, and after its commit an event."""
    EVENTS = "events"
    """An event only: the row is not inserted."""
    ROWS = "rows"
    """A row only, as before."""


class BadLegacyWrites(UserError):
    """GCC_LEGACY_WRITES or GCC_LEGACY_ZONE has a value that is not known."""


def mode() -> LegacyWrites:
    """The mode of this process, from GCC_LEGACY_WRITES; `both` if it is not set. Raises BadLegacyWrites."""
    value = os.environ.get(VARIABLE) or LegacyWrites.BOTH
    try:
        return LegacyWrites(value)
    except ValueError:
        raise BadLegacyWrites(f"{VARIABLE} is {value!r}: set it to one of {', '.join(LegacyWrites)}") from None


def zone() -> ZoneInfo:
    """The zone of the log objects' times, from GCC_LEGACY_ZONE; UTC if it is not set. Raises BadLegacyWrites.

    A crawler has one: the form for several tables (`UTC,post_log=Asia/Kolkata`) is the backfill's.
    """
    name = os.environ.get(ZONE_VARIABLE) or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as America
        raise BadLegacyWrites(f"{ZONE_VARIABLE} is {name!r}: set it to a time zone such as Asia/Kolkata") from None


@cache
def logged_mode() -> LegacyWrites:
    """The mode, read once; an unknown value is logged and taken for `both`, for it must not stop a crawl."""
    try:
        return mode()
    except BadLegacyWrites as error:
        _logger.error(  # noqa: TRY400  the message says it all
            "%s; rows and events are written", error
        )
        return LegacyWrites.BOTH
