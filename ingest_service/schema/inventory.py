"""What `gcc-ingest init` creates in ClickHouse: the names of its tables and views, and the SQL of each."""

from collections.abc import Mapping
from pathlib import Path

from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES

DATABASE = "_e"
LEDGER = "_e.ingest_batches"
"""A row for each insert that landed."""
DEAD_LETTERS = "_e.dead_letter_events"
"""The archived dead letters."""
DEAD_LETTER_REPLAYS = "_e.dead_letter_replays"
"""A row for each dead letter that was published again."""
CHANGES = "_e.schema_changes"
"""The numbered changes that were applied."""

HERE = Path(__file__).parent
RAW_TABLES = tuple(each.table for each in EVENT_TYPES.values())
TABLES = (*RAW_TABLES, LEDGER, DEAD_LETTERS, DEAD_LETTER_REPLAYS, CHANGES)


def ledger_view(event_type: EventType) -> str:
    """The view that adds a type's inserts to the ledger."""
    return f"{LEDGER}_of_{event_type.name}"


LEDGER_VIEWS = tuple(ledger_view(each) for each in EVENT_TYPES.values())


def statements(folder: Path) -> Mapping[str, str]:
    """The SQL of a folder's files by name, in order."""
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.sql"))}
