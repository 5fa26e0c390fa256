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
_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nobody", "--clear-groups")


@functools.cache
def prefix() -> Sequence[str]:
    """What to put before a command so that it does not run as root; nothing where we are not root.

    Raises StackError where the system permits no way.
    """
    if os.geteuid() != 0:
        return ()
    for way in (_OTHER_NUMBER, (*_NOBODY[:2], f"--regid={_nobody().pw_gid}", _NOBODY[3])):
        if shutil.which(way[0]) and subprocess.run([*way, "true"], check=False, capture_output=True).returncode == 0:
            return way
    raise StackError(
        "PostgreSQL refuses to run as root, and neither unshare --user nor setpriv --reuid=nobody works here; "
        "run this as an ordinary user, or set POSTGRES_URL to a server you have"
    )


def hand_over(path: Path) -> None:
    """Make a path belong to whoever the commands run as, where that is nobody, and let nobody get to it."""
    if not prefix() or prefix()[0] != _NOBODY[0]:
        return
    os.chown(path, _nobody().pw_uid, _nobody().pw_gid)
    for parent in path.parents:
        if not parent.stat().st_mode & 0o001:
            raise StackError(
                f"PostgreSQL must run as nobody here, and {parent} lets only its owner in; "
                "choose a directory that others may enter (--dir or GCC_LOCAL_DIR), or run this as an ordinary user"
            )


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")
