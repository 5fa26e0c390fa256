"""Runs a program that refuses to run as root, as PostgreSQL does, as another user."""

import functools
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gcc_platform.local_stack.errors import StackError

# Run in a user namespace, where root has another number: files stay root's, and need not be readable by others.
_USER_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")

# If namespaces are forbidden, as in most containers, drop to nobody. To reach paths in closed directories such as
# /root, keep the smallest Linux capability that suffices.
_NOBODY = "setpriv"
_CAPABILITIES = ("", "dac_read_search", "dac_override")


def prefix(reaching: Sequence[Path]) -> Sequence[str]:
    """The prefix of a command that makes it run as another user than root; empty if we are not root.

    `reaching` are the paths that the command needs. Raises StackError if the system permits no prefix that works.
    """
    return _prefix(tuple(map(str, reaching))) if os.geteuid() == 0 else ()


@functools.cache
def _prefix(reaching: tuple[str, ...]) -> Sequence[str]:
    for way in (_USER_NAMESPACE, *map(_as_nobody, _CAPABILITIES)):
        if shutil.which(way[0]) and all(_reaches(path, way) for path in reaching):
            return way
    raise StackError(
        "PostgreSQL refuses to run as root, and neither unshare --user nor setpriv --reuid=nobody reaches "
        f"{' and '.join(reaching)} here; run this as an ordinary user, choose directories that other users may enter, "
        "or set POSTGRES_URL to a server you have"
    )


def _reaches(path: str, way: Sequence[str]) -> bool:
    return subprocess.run([*way, "test", "-e", path], check=False, capture_output=True).returncode == 0


def _as_nobody(capability: str) -> Sequence[str]:
    nobody = pwd.getpwnam("nobody")
    way = (_NOBODY, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    if not capability:
        return way
    # Without no_setuid_fixup, access(2) ignores the capability, and initdb uses it to find its binaries.
    return (
        *way,
        f"--inh-caps=-all,+{capability}",
        f"--ambient-caps=-all,+{capability}",
        "--securebits=+no_setuid_fixup",
    )


def hand_over(path: Path, way: Sequence[str]) -> None:
    """Change a path's owner to nobody if commands with this prefix run as nobody."""
    if way and way[0] == _NOBODY:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
