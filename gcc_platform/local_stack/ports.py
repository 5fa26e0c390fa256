"""The TCP ports of the local stack, and the search for free ones."""

import random
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Self

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.settings import LocalStackSettings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports the local stack listens on, all on loopback.

    Raises StackError if a number is not a port, or is used twice.
    """

    amqp: int
    management: int
    clickhouse_http: int
    clickhouse_tcp: int
    postgres: int
    alertmanager: int

    def __post_init__(self) -> None:
        seen: dict[int, str] = {}
        for name, port in asdict(self).items():
            if not 0 < port < 65536:
                raise StackError(f"{variable(name)}={port} is not a port; set it to a number from 1 to 65535")
            if port in seen:
                raise StackError(f"{variable(seen[port])} and {variable(name)} are both {port}; change one of them")
            seen[port] = name

    @classmethod
    def configured(cls, settings: LocalStackSettings) -> Self:
        """The ports of the settings."""
        return cls(
            amqp=settings.amqp_port,
            management=settings.management_port,
            clickhouse_http=settings.clickhouse_http_port,
            clickhouse_tcp=settings.clickhouse_tcp_port,
            postgres=settings.postgres_port,
            alertmanager=settings.alertmanager_port,
        )

    @classmethod
    def free(cls) -> Self:
        """Ports that no process listens on, for tests."""
        return cls(*pick_free(len(fields(cls))))


def variable(name: str) -> str:
    """The environment variable that sets a port of Ports."""
    return f"GCC_LOCAL_{name.upper()}_PORT"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def pick_free(count: int, excluding: Collection[int] = ()) -> list[int]:
    """Pick `count` distinct free loopback ports, excluding ports reserved by servers that are still starting.

    Raises StackError if too few are free.
    """
    searched = [port for port in _searched() if port not in excluding]
    found: list[int] = []
    for port in random.sample(searched, k=len(searched)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise StackError(
        f"fewer than {count} ports between {searched[0]} and {searched[-1]} are free on {LOOPBACK}; "
        "set GCC_LOCAL_FREE_PORTS to another range"
    )


def _searched() -> range:
    setting = LocalStackSettings().free_ports
    first, _, last = setting.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 65536):
        raise StackError(f"GCC_LOCAL_FREE_PORTS={setting} is not a range of ports; write it as 12000-31999")
    return range(int(first), int(last) + 1)
