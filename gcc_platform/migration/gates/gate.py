"""What each gate means, and for how long it has to be green."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gcc_platform.migration.gates import checked, drill, measured
from gcc_platform.migration.gates.results import STALE, Standing


class Rule(StrEnum):
    """For how long a gate has to be green."""

    NOW = "now"
    """At the time of the decision."""
    FOR_DAYS = "for days"
    """For GCC_MIGRATION_DAYS on end, and still."""
    LATELY = "lately"
    """Once in the last thirty days."""


@dataclass(frozen=True)
class Gate:
    """A condition, and for how long it has to hold."""

    name: str
    meaning: str
    rule: Rule


_LATELY = timedelta(days=30)

GATES: Mapping[str, Gate] = {
    gate.name: gate
    for gate in (
        Gate(measured.PREPARED, "The old table has its event_id and index; the backfill is planned.", Rule.NOW),
        Gate(measured.BACKFILL_SEALED, "All chunks have the same checksum on both sides.", Rule.FOR_DAYS),
        Gate(measured.TAIL_CAUGHT_UP, "Rows of crawlers not yet upgraded arrive.", Rule.FOR_DAYS),
        Gate(checked.TOTALS_AGREE, "Rows, counts and sums per day are the same on both sides.", Rule.FOR_DAYS),
        Gate(checked.ROWS_EXPLAINED, "No difference of rows is open.", Rule.FOR_DAYS),
        Gate(checked.NOTHING_LOST, "No event was lost before the broker.", Rule.FOR_DAYS),
        Gate(measured.DEAD_LETTERS_EMPTY, "No dead letter of the type waits.", Rule.FOR_DAYS),
        Gate(checked.MARTS_AGREE, "The marts are the same from both sides, cell by cell.", Rule.FOR_DAYS),
        Gate(measured.REVERSE_CAUGHT_UP, "The reverse writer runs, and has nothing to write.", Rule.FOR_DAYS),
        Gate(drill.ROLLBACK_TRIED, "Rows made of events are the same as the crawlers' own.", Rule.LATELY),
        Gate(measured.OLD_WRITERS_GONE, "Only the reverse writer inserts into the old table.", Rule.FOR_DAYS),
    )
}


def problem(gate: Gate, standing: Standing | None, now: datetime, days: float) -> str | None:
    """Why a gate is not passed; None if it is."""
    if standing is None:
        return "never measured"
    if not standing.result.passed or standing.green_since is None:
        return standing.result.reason
    age = now - standing.at
    if gate.rule is Rule.LATELY:
        return f"passed {age.days} days ago: try it again" if age > _LATELY else None
    if age > STALE:
        return f"measured {age.total_seconds() / 3600:.0f} hours ago: check it again"
    green = now - standing.green_since
    if gate.rule is Rule.FOR_DAYS and green < timedelta(days=days):
        return f"green for {green.total_seconds() / 86400:.1f} of {days:g} days"
    return None
