"""What a sensor has reported already, in its cursor: each report is an event that Dagster stores."""

import json
import time
from dataclasses import dataclass, field

PASSED = "passed"
REPEAT_SECONDS = {True: 900, False: 120}
"""What does not change is reported again after this time, by whether it passes: its numbers may be others by then."""


@dataclass
class Reported:
    """The last report of each thing, by a name."""

    known: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The state, and when it was reported in epoch seconds."""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Reported":
        """What `as_cursor` wrote."""
        return cls({name: (state, at) for name, (state, at) in json.loads(cursor or "{}").items()})

    def as_cursor(self) -> str:
        """The content as a sensor's cursor."""
        return json.dumps(self.known)

    def is_news(
        self, name: str, state: str, materialized_at: float = 0.0, *, repeat_seconds: float | None = None
    ) -> bool:
        """Whether it changed, was reported long ago, or is older than the last materialization. Notes the report.

        `repeat_seconds` is what counts as long ago, by default REPEAT_SECONDS of the state.

        Dagster shows a check's result only if it is newer than the last materialization of its asset.
        """
        now = time.time()
        before, at = self.known.get(name, (None, 0.0))
        repeat = REPEAT_SECONDS[state == PASSED] if repeat_seconds is None else repeat_seconds
        if state == before and now - at < repeat and at > materialized_at:
            return False
        self.known[name] = (state, now)
        return True
