"""The oldest versions of the servers that are supported."""

import re
from collections.abc import Mapping

from gcc_platform.commands.finding import Finding

OLDEST: Mapping[str, tuple[int, ...]] = {
    "RabbitMQ": (3, 10),
    "ClickHouse": (25, 3),
    "PostgreSQL": (14,),
    "Alertmanager": (0, 25),
}
"""docs/operations.md repeats them; a test compares both."""


def check(subject: str, server: str, version: str) -> Finding:
    """Compare a server's version, as the server writes it, with the oldest one that is supported."""
    oldest = OLDEST[server]
    advice = f"upgrade to {'.'.join(map(str, oldest))} or newer"
    return Finding(subject, numbers(version) >= oldest, f"version {version}", advice)


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: 16.4 of `16.4 (Debian 16.4-1)`; none if it has none."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
