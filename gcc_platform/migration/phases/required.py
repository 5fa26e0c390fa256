"""Which gates a table has to pass to enter a phase."""

from collections.abc import Mapping, Sequence

from gcc_platform.migration.gates import checked, drill, measured
from gcc_platform.migration.phases.phase import Phase

_VERIFIED = (
    measured.PREPARED,
    measured.BACKFILL_SEALED,
    measured.TAIL_CAUGHT_UP,
    checked.TOTALS_AGREE,
    checked.ROWS_EXPLAINED,
    checked.NOTHING_LOST,
    measured.DEAD_LETTERS_EMPTY,
    checked.MARTS_AGREE,
)
_WAY_BACK = (measured.REVERSE_CAUGHT_UP, drill.ROLLBACK_TRIED)

REQUIRED: Mapping[Phase, Sequence[str]] = {
    Phase.LEGACY: (),
    Phase.DUAL: (measured.PREPARED,),
    Phase.VERIFIED: _VERIFIED,
    Phase.READS: _VERIFIED,
    Phase.EVENTS: (*_VERIFIED, *_WAY_BACK),
    Phase.DONE: (*_VERIFIED, *_WAY_BACK, measured.OLD_WRITERS_GONE),
}
"""The gates of entering each phase, by name."""
