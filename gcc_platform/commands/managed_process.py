"""A process that `gcc-platform up` runs: its command, its log, and whether it is ready."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.private_files import make_private_folder
from gcc_platform.local_stack.process import Command, Process

_READY_SECONDS = 180
_STOP_SECONDS = 12


@dataclass(frozen=True)
class ManagedProcess:
    """A process with a folder of its own below the stack's."""

    name: str
    process: Process
    argv: Sequence[str]
    ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of this process only."""

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process, after stopping one that a killed `up` has left behind."""
        make_private_folder(self.process.directory)
        self.stop()
        self.process.start(Command(self.argv, {**environment, **self.environment}))

    def wait(self) -> None:
        """Wait until the process is ready. Raises StackError with the end of its log."""
        try:
            self.process.wait_until(self.ready, seconds=_READY_SECONDS)
        except StackError as error:
            raise StackError(f"{self.name} did not start: {error}") from error

    def stop(self) -> None:
        """Stop the process gracefully, or by SIGKILL after a deadline; its children too, if it has left some."""
        self.process.stop(signal.SIGINT, seconds=_STOP_SECONDS)
