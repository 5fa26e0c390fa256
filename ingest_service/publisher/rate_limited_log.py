"""Saying the same thing at most once in a while, with how often it has happened since."""

import logging
import time
from collections.abc import Callable, Hashable

_MOST_KEYS = 1_000


class RateLimitedLog:
    """A logger for what can happen thousands of times a second."""

    def __init__(
        self, logger: logging.Logger, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._said: dict[Hashable, tuple[float, int]] = {}
        """By key: when it was last said, and how many times it has been held back since."""

    def warn(self, key: Hashable, message: str, *arguments: object) -> None:
        """Log a warning unless something of the same key was logged within the last `seconds`."""
        self._log(logging.WARNING, key, message, arguments)

    def error(self, key: Hashable, message: str, *arguments: object) -> None:
        """Log an error unless something of the same key was logged within the last `seconds`."""
        self._log(logging.ERROR, key, message, arguments)

    def _log(self, level: int, key: Hashable, message: str, arguments: tuple[object, ...]) -> None:
        now = self._clock()
        last, unsaid = self._said.get(key, (float("-inf"), 0))
        if now - last < self._seconds:
            self._said[key] = (last, unsaid + 1)
            return
        if len(self._said) >= _MOST_KEYS:
            self._said.clear()
        self._said[key] = (now, 0)
        if unsaid:
            message += f" (and {unsaid} times more before this, not logged)"
        self._logger.log(level, message, *arguments)
