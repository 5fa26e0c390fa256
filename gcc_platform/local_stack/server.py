"""The base of the servers: starting, waiting for health, stopping."""

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from gcc_platform.local_stack.errors import Cancelled, StackError
from gcc_platform.local_stack.ports import LOOPBACK, Ports, is_free, variable
from gcc_platform.local_stack.private_files import make_private_folder
from gcc_platform.local_stack.process import Command, Process


class Server(ABC):
    """A server of the local stack. A subclass defines its configuration, command, health check and name.

    `directory` belongs to this server alone; `passwords` maps each of `users` to its password.
    """

    name: ClassVar[str]
    """The product's name; in lower case, the name of its directory."""
    variable: ClassVar[str]
    """The environment variable of its main URL. If it is set, that server is used instead."""
    users: ClassVar[tuple[str, ...]]
    port_names: ClassVar[tuple[str, ...]]
    """The fields of Ports that belong to it."""
    boot_seconds: ClassVar[float] = 120
    """Many times the usual duration, for busy machines. A server that fails exits, which is noticed at once."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path, ports: Ports, passwords: Mapping[str, str], *, fast: bool) -> None:
        self.directory = directory
        self.ports = ports
        self.passwords = passwords
        self.fast = fast
        self.process = Process(directory, self.logs())

    def logs(self) -> tuple[Path, ...]:
        """The log files that the server itself writes."""
        return ()

    def absent(self) -> str:
        """Why the stack works without this server here; empty if it does not."""
        return ""

    @abstractmethod
    def prepare(self) -> None:
        """Create the configuration and other files that the server needs before it starts."""

    @abstractmethod
    def command(self) -> Command:
        """The server's command. Raises StackError if the program is not installed."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether a client can log in and work. Raises StackError if waiting cannot help."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The URLs for clients, by environment variable."""

    @property
    def stop_seconds(self) -> float:
        """How long an orderly stop may take before the server is killed.

        Data is on disk within a second. RabbitMQ 3.10's management plugin then waits 5 s for itself, and ClickHouse
        as long for clients with idle connections.
        """
        return 1 if self.fast else 30

    def provision(self) -> None:  # noqa: B027  most servers need nothing
        """Create databases and users on the healthy server. Must be idempotent."""

    def start(self, cancelled: threading.Event) -> bool:
        """Start the server and wait until it is healthy. Returns False if it was running already.

        Raises StackError if that fails or is cancelled; a server that this call started is stopped then.
        """
        found_running = self.process.running()
        try:
            if not found_running:
                self._boot()
            self.process.wait_until(lambda: self._healthy_or_cancelled(cancelled), seconds=self.boot_seconds)
            self.provision()
        except (StackError, OSError) as error:
            if not found_running:
                self.stop()
            if isinstance(error, Cancelled):
                raise
            raise StackError(f"{self.name} did not start: {error}") from error
        return not found_running

    def stop(self) -> None:
        """Stop the server, gracefully if it does so in time, else by SIGKILL. Does nothing if it is not running."""
        self.process.stop(self.stop_signal, seconds=self.stop_seconds)

    def own_ports(self) -> dict[str, int]:
        """This server's ports, by their names in Ports."""
        return {name: port for name, port in asdict(self.ports).items() if name in self.port_names}

    def url(self, scheme: str, user: str, port: int, path: str = "") -> str:
        """A URL that includes the user's password."""
        return f"{scheme}://{user}:{self.passwords[user]}@{LOOPBACK}:{port}{path}"

    def _boot(self) -> None:
        for name, port in self.own_ports().items():
            if not is_free(port):
                raise StackError(
                    f"port {port} of {LOOPBACK} is used by another program; "
                    f"stop it, or choose another port with {variable(name)}=..."
                )
        make_private_folder(self.directory)
        self.prepare()
        self.process.start(self.command())

    def _healthy_or_cancelled(self, cancelled: threading.Event) -> bool:
        if cancelled.is_set():
            raise Cancelled
        return self.healthy()
