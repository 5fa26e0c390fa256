"""The event_id of an old row: made from its table and id, so that it is the same however often the row is read.

    67636300-TTTT-8DDD-8000-IIIIIIIIIIII      marker, table, version 8 and database, variant, id (48 bits)

A UUID of version 8 (RFC 9562, section 5.8) is for such use. Rows that a dual-writing crawler wrote have an event_id of
their own, of version 4. Neighbours differ in their last bytes only, so the column compresses to a few bytes a row.
"""

from dataclasses import dataclass
from uuid import UUID

MOST_ID = 2**48 - 1
MOST_DATABASE = 2**12 - 1
_MARKER = 0x67636300
_VARIANT = 0x8000

MADE = "startsWith(toString(event_id), '67636300-') AND substring(toString(event_id), 15, 1) = '8'"
"""In ClickHouse: the event_id was made from an old row. The version says so too: a random id may begin like that."""


def made_from(table: int) -> str:
    """In ClickHouse: the event_id was made from a row of the table of this number, in any old database."""
    return f"{MADE} AND substring(toString(event_id), 10, 4) = '{table:04x}'"


ID_OF_ROW = "reinterpretAsUInt64(reverse(substring(UUIDStringToNum(toString(event_id)), 11, 6)))"
"""In ClickHouse: the old row's id, of an event_id that was made from one."""


@dataclass(frozen=True)
class Origin:
    """Where an event_id was made: the number of an old table, of its database, and the row's id."""

    table: int
    database: int
    id: int

    def event_id(self) -> UUID:
        """The event_id. Raises ValueError if a number does not fit."""
        if not (0 <= self.table < 2**16 and 0 <= self.database <= MOST_DATABASE and 0 <= self.id <= MOST_ID):
            raise ValueError(f"{self} does not fit into an event_id")
        return UUID(int=_MARKER << 96 | self.table << 80 | (0x8000 | self.database) << 64 | _VARIANT << 48 | self.id)


def prefix(table: int, database: int) -> str:
    """The event_ids of a table as text, up to the id, of which 12 hexadecimal digits follow."""
    return str(Origin(table, database, 0).event_id())[:-12]


def origin(event_id: UUID) -> Origin | None:
    """Where an event_id was made; None if it was not made from an old row."""
    if event_id.int >> 96 != _MARKER or event_id.version != 8:
        return None
    return Origin(event_id.int >> 80 & 0xFFFF, event_id.int >> 64 & MOST_DATABASE, event_id.int & MOST_ID)
