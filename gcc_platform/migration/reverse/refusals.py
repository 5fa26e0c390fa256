"""What PostgreSQL's refusal of an insert is about: one event, the table, or the server. The class of its SQLSTATE says.

An event that is refused is noted, and the others are written. What is about the table takes an operator: its other
events would be refused as well. All else passes, and the same events are tried again.
"""

from enum import Enum, auto

import psycopg

from ingest_service.errors import UserError


class About(Enum):
    """What has to change before the insert succeeds."""

    EVENT = auto()
    TABLE = auto()
    SERVER = auto()


class TableRefuses(UserError):
    """No event can be written to an old table until somebody has changed something."""


_OF_THE_EVENT = {
    "09",  # triggered action exception
    "22",  # data exception: a zero byte, a number out of range, a lone surrogate
    "23",  # a constraint; a partition that is missing
    "38",  # external routine exception: a trigger's
    "44",  # with check option violation
    "54",  # program limit exceeded: a text too long for an index, JSON nested too deeply
    "P0",  # a trigger's RAISE EXCEPTION
}
_OF_THE_TABLE = {
    "0A",  # feature not supported
    "0L",  # invalid grantor
    "21",  # cardinality violation
    "25",  # read-only: a replica, or default_transaction_read_only
    "2F",  # a function that a trigger calls may not do what it does
    "39",  # external routine invocation: a trigger that breaks its protocol
    "3F",  # no such schema
    "42",  # no privilege; no such table, column or index
}


def about(error: psycopg.Error) -> About:
    """What an error is about. One without an SQLSTATE is a connection that ended."""
    error_class = (error.sqlstate or "")[:2]
    if error_class in _OF_THE_EVENT:
        return About.EVENT
    return About.TABLE if error_class in _OF_THE_TABLE else About.SERVER


def table_refuses(table: str, error: psycopg.Error) -> TableRefuses:
    """What an operator can do about a refusal of the table."""
    reason = error.diag.message_primary or str(error).strip()
    return TableRefuses(
        f"{table} in the old database takes no rows: {reason}. GCC_LEGACY_URL has to be the primary, "
        "prepared by gcc-platform migration init, and its user needs SELECT and INSERT on the log tables and the "
        "tables of series, and USAGE on their sequences"
    )
