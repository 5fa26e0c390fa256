"""Log a repeated message at most once per interval, with the number of suppressed repeats."""

import logging
import time
from collections.abc import Callable, Hashable

_MOST_KEYS = 1_000


class RateLimitedLog:
    """A rate-limited logger for events that can happen thousands of times a second."""

    def __init__(
        self, logger: logging.Logger, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._logged: dict[Hashable, tuple[float, int]] = {}
        """By key: when it was last logged, and how many repeats were suppressed since."""

    def warn(self, key: Hashable, message: str, *arguments: object) -> None:
        """Log a warning, unless one with the same key was logged within the last `seconds`."""
        self._log(logging.WARNING, key, message, arguments)

    def error(self, key: Hashable, message: str, *arguments: object) -> None:
        """Log an error, unless one with the same key was logged within the last `seconds`."""
        self._log(logging.ERROR, key, message, arguments)

    def _log(self, level: int, key: Hashable, message: str, arguments: tuple[object, ...]) -> None:
        now = self._clock()
        last, suppressed = self._logged.get(key, (float("-inf"), 0))
        if now - last < self._seconds:
            self._logged[key] = (last, suppressed + 1)
            return
        if len(self._logged) >= _MOST_KEYS:
            self._logged.clear()
        self._logged[key] = (now, 0)
        if suppressed:
            message += f" (and {suppressed} more times before this, not logged)"
        self._logger.log(level, message, *arguments)
