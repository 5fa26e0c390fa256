"""The lock that permits one start or stop of a stack at a time."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcc_platform.local_stack.errors import StackError


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. Raises StackError, which names the holder, if another process has it."""
    path = directory / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StackError(
                f"{directory} is locked by {file.read().strip() or 'another process'}; "
                "wait until it has finished, or choose another directory (--dir or GCC_LOCAL_DIR)"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])})\n")
        file.flush()
        yield
        file.truncate(0)
