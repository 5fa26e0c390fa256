"""What the three servers have in common: how one is started, waited for, and stopped."""

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from gcc_platform.local_stack.errors import Cancelled, StackError
from gcc_platform.local_stack.ports import LOOPBACK, Ports, is_free, variable
from gcc_platform.local_stack.process import Command, Process
from ingest_service.archive import private_folders


class Server(ABC):
    """One server of the local stack. A subclass says how it is configured, run, asked whether it is well, and named.

    directory is the server's own; passwords maps each of ``users`` to its password.
    """

    name: ClassVar[str]
    """What people call it; its directory is the lower case of this."""
    variable: ClassVar[str]
    """The environment variable of its main URL. Where that is set, the server it names is used instead."""
    users: ClassVar[tuple[str, ...]]
    port_names: ClassVar[tuple[str, ...]]
    """Which of Ports are its own."""
    boot_seconds: ClassVar[float] = 120
    """Many times what a boot takes, for machines that are busy: one that fails dies, which is noticed at once."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path, ports: Ports, passwords: Mapping[str, str], *, fast: bool) -> None:
        self.directory = directory
        self.ports = ports
        self.passwords = passwords
        self.fast = fast
        self.process = Process(directory, self.logs())

    def logs(self) -> tuple[Path, ...]:
        """The log files that the server writes itself."""
        return ()

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration and whatever else must be there before the server runs."""

    @abstractmethod
    def command(self) -> Command:
        """What to run. Raises StackError where the program is not installed."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether a client can log in and work. Raises StackError where waiting will not help."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The URLs that clients of this server need, by environment variable."""

    @property
    def stop_seconds(self) -> float:
        """How long an orderly stop may take before the server is killed.

        All is on disk within a second. Then RabbitMQ 3.10's management plugin waits 5 s for itself, and ClickHouse as
        long for clients that keep idle connections.
        """
        return 1 if self.fast else 30

    def arrange(self) -> None:  # noqa: B027  most have nothing to tell
        """Once healthy: what only a running server can be told. Must be idempotent."""

    def start(self, cancelled: threading.Event) -> bool:
        """Start the server and wait until it is well; True where it did not run before.

        Raises StackError, and leaves nothing running that did not run before, where that fails or is cancelled.
        """
        found_running = self.process.running()
        try:
            if not found_running:
                self._boot()
            self.process.wait_until(lambda: self._healthy_or_cancelled(cancelled), seconds=self.boot_seconds)
            self.arrange()
        except (StackError, OSError) as error:
            if not found_running:
                self.stop()
            if isinstance(error, Cancelled):
                raise
            raise StackError(f"{self.name} did not start: {error}") from error
        return not found_running

    def stop(self) -> None:
        """Stop the server, in order if it can, else by force. Nothing happens where it does not run."""
        self.process.stop(self.stop_signal, seconds=self.stop_seconds)

    def own_ports(self) -> dict[str, int]:
        """This server's ports by their names in Ports."""
        return {name: port for name, port in asdict(self.ports).items() if name in self.port_names}

    def url(self, scheme: str, user: str, port: int, path: str = "") -> str:
        """A URL with the user's password in it."""
        return f"{scheme}://{user}:{self.passwords[user]}@{LOOPBACK}:{port}{path}"

    def _boot(self) -> None:
        for name, port in self.own_ports().items():
            if not is_free(port):
                raise StackError(
                    f"port {port} of {LOOPBACK} is taken by another program; "
                    f"stop that one, or choose another port with {variable(name)}=..."
                )
        private_folders.make(self.directory)
        self.prepare()
        self.process.start(self.command())

    def _healthy_or_cancelled(self, cancelled: threading.Event) -> bool:
        if cancelled.is_set():
            raise Cancelled
        return self.healthy()
