"""Starts what ends again, after a delay that grows: one process that fails must not stop the others."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from gcc_platform.commands.managed_process import ManagedProcess
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.stack import Stack
from ingest_service.backoff import Backoff

_LOOK_SECONDS = 0.5
_STEADY_SECONDS = 300
"""A process that ran for so long starts with the shortest delay again."""
_BACKOFF = Backoff(first=1.0, most=60.0, uniform=lambda _least, most: most)


@dataclass
class _Restart:
    """When one process may be started again."""

    attempts: int = 0
    due: float | None = None
    """None while it runs."""
    started_at: float = field(default_factory=time.monotonic)

    def ended(self, now: float) -> float:
        """Note that the process has ended. Returns the delay in seconds."""
        self.attempts = 1 if now - self.started_at > _STEADY_SECONDS else self.attempts + 1
        delay = _BACKOFF.seconds(self.attempts)
        self.due = now + delay
        return delay

    def started(self, now: float) -> None:
        """Note that the process was started."""
        self.due, self.started_at = None, now


@dataclass
class KeepRunning:
    """Looks after the processes and the local servers."""

    stack: Stack
    services: Sequence[ManagedProcess]
    environment: Mapping[str, str]
    report: Callable[[str], None]
    _restarts: dict[str, _Restart] = field(default_factory=dict)

    def run(self) -> NoReturn:
        """Look twice a second, until an exception such as KeyboardInterrupt."""
        while True:
            self._servers()
            for service in self.services:
                self._service(service)
            time.sleep(_LOOK_SECONDS)

    def _servers(self) -> None:
        stopped = self.stack.stopped()
        if self._is_due("the local stack", stopped, f"{' and '.join(stopped)} ended unexpectedly"):
            try:
                self.stack.start(self.report)
            except StackError as error:
                self.report(str(error))

    def _service(self, service: ManagedProcess) -> None:
        ended = not service.process.running()
        why = f"{service.name} ended unexpectedly.{service.process.tail()}\n" if ended else ""
        if self._is_due(service.name, ended, why):
            service.start(self.environment)
            self.report(f"{service.name} is started again")

    def _is_due(self, name: str, ended: object, why: str) -> bool:
        """Whether to start it now. Reports the end when it is seen first."""
        now = time.monotonic()
        restart = self._restarts.setdefault(name, _Restart())
        if not ended:
            return False
        if restart.due is None:
            self.report(f"{why}; it is started again in {restart.ended(now):.0f} s".replace("\n;", "\n"))
        if restart.due is not None and now >= restart.due:
            restart.started(now)
            return True
        return False
