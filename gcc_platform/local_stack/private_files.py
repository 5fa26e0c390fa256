"""Files and folders that hold passwords or data: only their owner may read them, whatever the umask."""

import errno
import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents. Raises OSError."""
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace the file atomically: a reader sees the old text or the new one, never a part."""
    written = path.with_name(f"{path.name}.new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    written.replace(path)
