"""A number's values over the last minutes, in memory: whether it grew, and by how much."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Window:
    """Values of the last `seconds`, and the newest one before them."""

    seconds: float
    clock: Callable[[], float]
    _values: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, value: int) -> None:
        """Remember the present value."""
        now = self.clock()
        self._values.append((now, value))
        while len(self._values) > 1 and self._values[1][0] <= now - self.seconds:
            self._values.popleft()

    @property
    def is_full(self) -> bool:
        """Whether the oldest value is `seconds` old."""
        return bool(self._values) and self._values[0][0] <= self.clock() - self.seconds

    @property
    def first(self) -> int:
        """The oldest value."""
        return self._values[0][1]

    @property
    def least(self) -> int:
        """The smallest value."""
        return min(value for _, value in self._values)

    @property
    def spread(self) -> int:
        """The largest value less the smallest."""
        return max(value for _, value in self._values) - self.least

    @property
    def increase(self) -> int:
        """By how much a counter grew. A counter that fell was restarted from zero."""
        values = [value for _, value in self._values]
        return sum(after - before if after >= before else after for before, after in pairwise(values))
