"""When gcc-platform watch asked last. A service is always on: it notices when the watch is not."""

from collections.abc import Callable
from dataclasses import dataclass, field

PATIENCE_SECONDS = 300


@dataclass
class WatchVisits:
    """Counts from the start until the watch asks for the first time."""

    clock: Callable[[], float]
    last: float = field(default=0.0)
    """In epoch seconds."""

    def __post_init__(self) -> None:
        self.last = self.clock()

    def note(self) -> None:
        """Note that it has asked."""
        self.last = self.clock()

    @property
    def seconds(self) -> float:
        """How long ago that was."""
        return self.clock() - self.last

    def warnings(self) -> dict[str, str]:
        """A warning if it is too long ago: then nobody is notified of alerts."""
        if self.seconds <= PATIENCE_SECONDS:
            return {}
        return {"watch": f"gcc-platform watch has not asked for {self.seconds:.0f} s: nobody is notified of alerts"}
