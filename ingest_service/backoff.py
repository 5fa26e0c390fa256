"""How long to wait before the next attempt: exponential with jitter, so that many waiters do not retry at once."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Delays in seconds. The ceiling is `first`, doubled with every attempt, at most `most`."""

    first: float
    most: float
    uniform: Callable[[float, float], float] = random.uniform

    def seconds(self, attempt: int) -> float:
        """The delay after a failed attempt, counted from 1: uniform between a tenth of the ceiling and the ceiling."""
        ceiling = min(self.most, self.first * 2 ** min(attempt - 1, 30))
        return self.uniform(ceiling / 10, ceiling)
