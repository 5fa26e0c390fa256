"""How a mart is to be synced, and the result."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gcc_platform.sync import layout
from gcc_platform.sync.mode import Mode
from gcc_platform.sync.parity import Compared
from gcc_platform.sync.views import view
from gcc_platform.sync.written_by_others import Written


@dataclass(frozen=True)
class Options:
    """How to sync."""

    is_full: bool = False
    """Copy in full, whatever has changed."""
    is_dry: bool = False
    """Only say what would be done."""
    max_fall: float = 0.2
    """The share of rows that may vanish at once; 1 allows all."""
    least_rows: int = layout.UPSERTED
    """A smaller mart is copied in full if it has changed."""
    retry: view.SwapRetry = view.DEFAULT_RETRY
    compares_all: bool = False
    """Compare all key ranges, not only those that are due."""
    run_id: str = ""


DEFAULTS = Options()


@dataclass(frozen=True)
class Synced:
    """The result of a sync."""

    mart: str
    mode: Mode
    reason: str
    rows: int
    """Served."""
    mart_rows: int
    """In ClickHouse."""
    inserted: int = 0
    """By a full copy: all rows."""
    updated: int = 0
    deleted: int = 0
    sent_bytes: int = 0
    wal_bytes: int = 0
    table_bytes: int = 0
    seconds: float = 0.0
    """All of it; `compared.seconds` is the part that compares key ranges."""
    swap_attempts: int = 0
    cleaned: Mapping[str, int] = field(default_factory=dict)
    """The values that had to be changed for PostgreSQL, by column."""
    written: Written | None = None
    """What somebody else had written to PostgreSQL. It is gone."""
    compared: Compared = field(default=Compared(0, 0))
    differences: int = 0
    """The number of syncs in a row, with this one, that found something different."""

    @property
    def findings(self) -> list[str]:
        """What was different and is repaired, a sentence each."""
        found = [self.written.description] if self.written else []
        return found + [each.description for each in self.compared.differences]
