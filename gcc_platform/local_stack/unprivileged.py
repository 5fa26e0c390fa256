"""How to run a program that refuses to run as root, as PostgreSQL does."""

import functools
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gcc_platform.local_stack.errors import StackError

# Our own root under another number: files stay ours, and nothing outside has to be readable by a stranger.
_OTHER_NUMBER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")

# Where that is forbidden, as in most containers: nobody, who gets past closed directories (/root, say) only if need be,
# by the smaller of two powers if that is there.
_NOBODY = "setpriv"
_POWERS = ("", "dac_read_search", "dac_override")


def prefix(reaching: Sequence[Path]) -> Sequence[str]:
    """What to put before a command so that it does not run as root; nothing where we are not root.

    `reaching` are the paths that the command must get to. Raises StackError where the system permits no way.
    """
    return _prefix(tuple(map(str, reaching))) if os.geteuid() == 0 else ()


@functools.cache
def _prefix(reaching: tuple[str, ...]) -> Sequence[str]:
    for way in (_OTHER_NUMBER, *map(_as_nobody, _POWERS)):
        if shutil.which(way[0]) and all(_gets_to(path, way) for path in reaching):
            return way
    raise StackError(
        "PostgreSQL refuses to run as root, and neither unshare --user nor setpriv --reuid=nobody gets to "
        f"{' and '.join(reaching)} here; run this as an ordinary user, choose directories that others may enter, "
        "or set POSTGRES_URL to a server you have"
    )


def _gets_to(path: str, way: Sequence[str]) -> bool:
    return subprocess.run([*way, "test", "-e", path], check=False, capture_output=True).returncode == 0


def _as_nobody(power: str) -> Sequence[str]:
    nobody = pwd.getpwnam("nobody")
    way = (_NOBODY, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    if not power:
        return way
    # access(2) forgets powers without no_setuid_fixup, and initdb asks it for its binaries.
    return (*way, f"--inh-caps=-all,+{power}", f"--ambient-caps=-all,+{power}", "--securebits=+no_setuid_fixup")


def hand_over(path: Path, way: Sequence[str]) -> None:
    """Make a path belong to whoever a command with this prefix runs as, where that is nobody."""
    if way and way[0] == _NOBODY:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
