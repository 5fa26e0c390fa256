"""Which events wait in spools, read beside the crawlers that own them: their files are only appended to, or deleted."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest_service.errors import UserError
from ingest_service.publisher import segment


class NoSpool(UserError):
    """The directory does not exist or cannot be read."""

    exit_code = 2


@dataclass(frozen=True)
class Waiting:
    """An event in a spool."""

    event_id: str
    routing_key: str
    file: Path


class _Id(msgspec.Struct):
    event_id: str


def waiting(*directories: Path) -> Iterator[Waiting]:
    """The events in the spools of directories and their subdirectories, in the order of the files' names.

    Takes no lock. The incomplete end of a file is left out, as is a file that is sent and deleted meanwhile. An event
    may be sent while it is listed. Raises NoSpool before the first event if one is not a directory, and later if
    something cannot be read: an incomplete list would look like a short one.
    """
    for directory in directories:
        if not directory.is_dir():
            raise NoSpool(
                f"{directory} is not a directory: name a crawler's spool, or the folder that GCC_SPOOL_DIR names"
            )
    return _waiting(directories)


def _waiting(directories: Iterable[Path]) -> Iterator[Waiting]:
    for directory in directories:
        for file in _files(directory):
            for record in segment.read(_content(file)).records:
                yield Waiting(_event_id(record.body, file), record.routing_key, file)


def _files(directory: Path) -> list[Path]:
    """The spool files below a directory. Raises NoSpool if a folder cannot be read, which Path.rglob skips."""
    found: list[Path] = []
    for folder, _, names in os.walk(directory, onerror=_raise_unless_gone):
        found += (Path(folder) / name for name in names if name.endswith(".spool"))
    return sorted(found)


def _content(file: Path) -> bytes:
    """The content of a file; empty if it was sent and deleted meanwhile. Raises NoSpool."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise NoSpool(f"{file} cannot be read: {error.strerror}") from None


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise NoSpool(f"{error.filename} cannot be read: {error.strerror}") from None


def _event_id(body: bytes, file: Path) -> str:
    """Every publisher gives an event an id. Raises NoSpool."""
    try:
        return msgspec.json.decode(body, type=_Id).event_id
    except msgspec.DecodeError:
        raise NoSpool(f"{file} has an event without an event_id: no publisher of this package wrote it") from None
