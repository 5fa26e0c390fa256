"""The phases of a table, in their order, and what an operator does when it enters one."""

from enum import StrEnum


class Phase(StrEnum):
    """Where a table stands. Tables go through the phases one by one, each at its own time."""

    LEGACY = "legacy"
    """Crawlers write rows; the platform may be filled already."""
    DUAL = "dual"
    """Crawlers write rows and events, or are being upgraded to do so."""
    VERIFIED = "verified"
    """Both sides have been the same for days."""
    READS = "reads"
    """Readers use the platform."""
    EVENTS = "events"
    """Crawlers write events only, or are being switched to do so; the reverse writer keeps the old table complete."""
    DONE = "done"
    """Nobody writes to the old table."""

    @property
    def number(self) -> int:
        """Its place in the order."""
        return list(Phase).index(self)

    @property
    def next(self) -> "Phase | None":
        """The phase after it."""
        return list(Phase)[self.number + 1] if self is not Phase.DONE else None


def rows_are_written(phase: Phase) -> bool:
    """Whether every snapshot of the table is still written as a row."""
    return phase.number < Phase.EVENTS.number


AFTER_ADVANCING = {
    Phase.DUAL: "upgrade the crawlers one by one (GCC_LEGACY_WRITES=both); keep tail and reverse writer running",
    Phase.VERIFIED: "crawlers and readers go on as before; the checks of each night have to stay green",
    Phase.READS: (
        "take {table} out of GCC_LEGACY_TABLES if it is there, run gcc-platform dbt warehouse build --full-refresh, "
        "and point its readers to the platform"
    ),
    Phase.EVENTS: "set GCC_LEGACY_WRITES=events, crawler by crawler; keep the reverse writer running",
    Phase.DONE: "stop the tail and the reverse writer; the old table may be archived and dropped",
}

AFTER_GOING_BACK = {
    Phase.LEGACY: "set GCC_LEGACY_WRITES=rows, crawler by crawler; readers use PostgreSQL",
    Phase.DUAL: "set GCC_LEGACY_WRITES=both, crawler by crawler; readers use PostgreSQL",
    Phase.VERIFIED: "set GCC_LEGACY_WRITES=both, crawler by crawler; readers use PostgreSQL",
    Phase.READS: "set GCC_LEGACY_WRITES=both, crawler by crawler; readers stay where they are",
    Phase.EVENTS: "start the reverse writer",
}
