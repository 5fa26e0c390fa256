"""Which dead letters the job replays: its configuration in the launchpad."""

import dagster as dg
from pydantic import Field

from ingest_service.archive import times
from ingest_service.archive.table import Selection
from ingest_service.errors import UserError
from ingest_service.events.registry import EVENT_TYPES


class NotSelected(UserError):
    """The configuration selects nothing that may be published."""


class ReplayConfig(dg.Config):
    """As the options of `gcc-ingest dead-letters replay`."""

    event_type: str = Field("", description=f"Only letters of this type: {', '.join(sorted(EVENT_TYPES))}. Empty: all.")
    reason: str = Field("", description="Only letters with this x-gcc-reason: refused_by_table, ... Empty: all.")
    since: str = Field("", description="Last rejected at or after: 2026-11-24, 2026-11-24T03:00 (UTC), or 2h, 7d ago.")
    until: str = Field("", description="Last rejected before: as since.")
    limit: int = Field(1_000, ge=1, description="Publish at most this number of letters.")
    again: bool = Field(False, description="Include letters that were already replayed or failed again.")
    everything: bool = Field(False, description="Publish although neither type, reason, since nor until is given.")
    dry_run: bool = Field(True, description="Only report what would be published. Run it with true first.")

    def selection(self) -> Selection:
        """The letters. Raises NotSelected and BadTime."""
        if self.event_type and self.event_type not in EVENT_TYPES:
            raise NotSelected(f"no event type {self.event_type!r}: one of {', '.join(sorted(EVENT_TYPES))}")
        selection = Selection(
            event_types=(self.event_type,) if self.event_type else (),
            reasons=(self.reason,) if self.reason else (),
            since=times.parse(self.since) if self.since else None,
            until=times.parse(self.until) if self.until else None,
        )
        if selection == Selection() and not (self.dry_run or self.everything):
            raise NotSelected("select letters with event_type, reason, since or until, or all with everything: true")
        return selection
