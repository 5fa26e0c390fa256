"""How long to wait before the next attempt: exponential, with full jitter, so that many waiters do not come at once."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Delays in seconds: uniform between 0 and `first` doubled with every attempt, at most `most`."""

    first: float
    most: float
    uniform: Callable[[float, float], float] = random.uniform

    def seconds(self, attempt: int) -> float:
        """The delay after a failed attempt; attempts count from 1."""
        ceiling = min(self.most, self.first * 2 ** min(attempt - 1, 30))
        return self.uniform(ceiling / 10, ceiling)
