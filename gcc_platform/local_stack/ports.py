"""The TCP ports of the local stack: which they are, whether they are free, and how tests get free ones."""

import random
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Self

from gcc_platform.local_stack.errors import StackError
from gcc_platform.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports the local stack listens on, all on loopback.

    Raises StackError where a number is no port or two of them are the same.
    """

    amqp: int
    management: int
    clickhouse_http: int
    clickhouse_tcp: int
    postgres: int

    def __post_init__(self) -> None:
        seen: dict[int, str] = {}
        for name, port in asdict(self).items():
            if not 0 < port < 65536:
                raise StackError(f"{variable(name)}={port} is no port; set it to a number from 1 to 65535")
            if port in seen:
                raise StackError(f"{variable(seen[port])} and {variable(name)} are both {port}; change one of them")
            seen[port] = name

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """The ports that the environment, or else the defaults, give."""
        return cls(**{field.name: getattr(settings, f"local_{field.name}_port") for field in fields(cls)})

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on at this moment, for tests."""
        return cls(*pick_free(len(fields(cls))))


def variable(name: str) -> str:
    """The environment variable that sets the port called name, as in Ports."""
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


def pick_free(count: int, but: Collection[int] = ()) -> list[int]:
    """As many different free ports of 127.0.0.1, but those that are somebody's who has not begun to listen yet.

    Raises StackError where there are not enough.
    """
    searched = [port for port in _searched() if port not in but]
    found: list[int] = []
    for port in random.sample(searched, k=len(searched)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise StackError(
        f"no {count} free ports between {searched[0]} and {searched[-1]} on {LOOPBACK}; "
        "set GCC_LOCAL_FREE_PORTS to where there are some"
    )


def _searched() -> range:
    setting = Settings().local_free_ports
    first, _, last = setting.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 65536):
        raise StackError(f"GCC_LOCAL_FREE_PORTS={setting} is no range of ports; write it as 12000-31999")
    return range(int(first), int(last) + 1)
