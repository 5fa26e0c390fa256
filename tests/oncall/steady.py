"""A crawler that publishes one event a second, as long as the broker takes it."""

import threading
from collections.abc import Callable
from contextlib import suppress

from tests.oncall.platform import Platform


class SteadyPublisher:
    """Publishes from `start` until `stop`, and again after another `start`."""

    def __init__(self, publish: Callable[[Platform], None]) -> None:
        self._publish = publish
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, platform: Platform) -> None:
        """Publish, in a thread of its own."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(platform,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        self._stopped.set()
        if self._thread:
            self._thread.join(30)

    def _run(self, platform: Platform) -> None:
        while not self._stopped.wait(1):
            with suppress(OSError):  # a fault is planted: the broker is away
                self._publish(platform)
