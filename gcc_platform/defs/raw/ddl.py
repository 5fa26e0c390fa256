"""Where the DDL of the tables in `_e` is."""

from pathlib import Path

from ingest_service.events.contract import EventType
from ingest_service.schema.inventory import HERE


def of_raw_table(event_type: EventType) -> Path:
    """The file that creates an event type's raw table."""
    return HERE / "tables" / f"{event_type.table.rpartition('.')[2]}.sql"


LEDGER = HERE / "ledger" / "ingest_batches.sql"
DEAD_LETTERS = HERE / "dead_letters" / "dead_letter_events.sql"
