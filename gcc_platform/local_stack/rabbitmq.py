"""A private RabbitMQ node: its own data, cookie, ports and epmd."""

import asyncio
import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import ClassVar

import aio_pika
from aio_pika.exceptions import AMQPError, ProbableAuthenticationError

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK, answers, pick_free
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server

USER = "gcc"

# Debian's wrapper in /usr/sbin changes the user and the directory; this program does not.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

# The node does not boot if the host's name does not resolve, as in many containers.
_NODE = "gcc@localhost"

_EPMD_STOPS_SECONDS = 5


class RabbitMQ(Server):
    """A node with the management plugin. Its only user is gcc, on the virtual host `/`."""

    name: ClassVar[str] = "RabbitMQ"
    variable: ClassVar[str] = "AMQP_URL"
    users: ClassVar[tuple[str, ...]] = (USER,)
    port_names: ClassVar[tuple[str, ...]] = ("amqp", "management")

    def prepare(self) -> None:
        """Write the node's configuration, and its cookie if it is missing."""
        for name in ("home", "mnesia"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)
        write_private(self.directory / "rabbitmq.conf", self._configuration())
        (self.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        cookie = self.directory / "home" / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(), mode=0o400)

    def command(self) -> Command:
        """The node in the foreground, with free ports for Erlang's distribution and epmd."""
        program = _program()
        self._stop_epmd()  # of a node that was killed: the file is about to name another
        distribution, epmd = pick_free(2, excluding=astuple(self.ports))  # the other servers are starting
        self._epmd_file.write_text(f"{epmd}\n")
        return Command(
            [program],
            {
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "HOME": str(self.directory / "home"),
                "ERL_CRASH_DUMP_SECONDS": "0",  # a dump takes time and space, and the log has the reason
                "ERL_EPMD_ADDRESS": LOOPBACK,
                "ERL_EPMD_PORT": str(epmd),
                "RABBITMQ_NODENAME": _NODE,
                "RABBITMQ_DIST_PORT": str(distribution),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
                "RABBITMQ_CONF_ENV_FILE": str(self.directory / "no-rabbitmq-env.conf"),
                "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
                "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
                "RABBITMQ_LOG_BASE": str(self.directory),
                "RABBITMQ_PID_FILE": str(self.directory / "rabbitmq.pid"),
                # Makes the script exec the node instead of supervising it: one process, one pid.
                "RUNNING_UNDER_SYSTEMD": "true",
            },
        )

    def healthy(self) -> bool:
        """Whether the user can log in by AMQP and the management plugin listens."""
        if not (answers(self.ports.amqp) and answers(self.ports.management)):
            return False
        try:
            asyncio.run(_log_in(self._amqp_url))
        except ProbableAuthenticationError as error:
            raise StackError(
                f"it refuses the password of {USER} in stack.json; "
                f"restore the stack.json that belongs to {self.directory}, or delete that directory"
            ) from error
        except (AMQPError, OSError, TimeoutError):
            return False
        return True

    def environment(self) -> dict[str, str]:
        """The broker's URL and the management plugin's."""
        return {
            "AMQP_URL": self._amqp_url,
            "RABBITMQ_MANAGEMENT_URL": self.url("http", USER, self.ports.management),
        }

    def stop(self) -> None:
        """Stop the node, then the epmd that it started, which would keep running."""
        super().stop()
        self._stop_epmd()

    def _stop_epmd(self) -> None:
        try:
            port = self._epmd_file.read_text().strip()
        except OSError:
            return
        epmd = shutil.which("epmd")
        if epmd is not None:
            # If another server has taken the port, epmd is gone and this would wait for an answer for ever.
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [epmd, "-port", port, "-kill"], check=False, capture_output=True, timeout=_EPMD_STOPS_SECONDS
                )
        self._epmd_file.unlink()

    @property
    def _amqp_url(self) -> str:
        return self.url("amqp", USER, self.ports.amqp, "/")

    @property
    def _epmd_file(self) -> Path:
        return self.directory / "epmd.port"

    def _configuration(self) -> str:
        return "\n".join(
            [
                f"listeners.tcp.1 = {LOOPBACK}:{self.ports.amqp}",
                f"management.tcp.ip = {LOOPBACK}",
                f"management.tcp.port = {self.ports.management}",
                f"default_user = {USER}",
                f"default_pass = {self.passwords[USER]}",
                "log.console = true",
                "log.console.level = info",
                "log.console.use_colors = off",
                "log.file = false",
                "disk_free_limit.absolute = 200MB",
                "",
            ]
        )


def _program() -> str:
    found = str(_DEBIAN) if os.access(_DEBIAN, os.X_OK) else shutil.which("rabbitmq-server")
    if found is None:
        raise StackError(
            "rabbitmq-server is not installed. Install it (Debian, Ubuntu: "
            "apt-get install rabbitmq-server), or set AMQP_URL to a broker you have"
        )
    return found


async def _log_in(url: str) -> None:
    async with await aio_pika.connect(url, timeout=5) as connection:
        await connection.channel()
