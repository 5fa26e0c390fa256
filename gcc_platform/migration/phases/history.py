"""The phases that each table has entered, in the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.postgres import Connection


@dataclass(frozen=True)
class Entry:
    """A table entered a phase."""

    phase: Phase
    came_from: Phase
    entered_at: datetime
    entered_by: str

    @property
    def went_back(self) -> bool:
        """Whether it was a step back."""
        return self.phase.number < self.came_from.number


async def history(state: Connection, table: str) -> list[Entry]:
    """All entries of a table, the oldest first. Raises psycopg.Error."""
    found = await state.execute(
        """SELECT phase, came_from, entered_at, entered_by FROM migration.phases
        WHERE legacy_table = %s ORDER BY entered_at""",
        [table],
    )
    return [Entry(Phase(phase), Phase(before), at, by) for phase, before, at, by in await found.fetchall()]


async def current(state: Connection, table: str) -> Phase:
    """Where a table stands. Raises psycopg.Error."""
    entries = await history(state, table)
    return entries[-1].phase if entries else Phase.LEGACY


async def enter(
    state: Connection, table: str, came_from: Phase, phase: Phase, entered_by: str, evidence: Mapping[str, Any]
) -> None:
    """Note that a table has entered a phase, with what that was decided by. Raises psycopg.Error."""
    await state.execute(
        """INSERT INTO migration.phases (legacy_table, phase, came_from, entered_by, evidence)
        VALUES (%s, %s, %s, %s, %s)""",
        [table, phase, came_from, entered_by, Jsonb(evidence)],
    )
