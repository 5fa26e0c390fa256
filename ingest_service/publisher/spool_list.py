"""Which events wait in spools, read beside the crawlers that own them: their files are only appended to, or deleted."""

from collections.abc import Iterator
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


def waiting(directory: Path) -> Iterator[Waiting]:
    """The events in the spools of a directory and its subdirectories, in the order of the files' names.

    Takes no lock. The incomplete end of a file is left out, as is a file that is sent and deleted meanwhile. An event
    may be sent while it is listed. Raises NoSpool.
    """
    if not directory.is_dir():
        raise NoSpool(f"{directory} is not a directory: name a crawler's spool, or the folder that GCC_SPOOL_DIR names")
    for file in sorted(directory.rglob("*.spool")):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NoSpool(f"{file} cannot be read: {error.strerror}") from None
        for record in segment.read(content).records:
            yield Waiting(msgspec.json.decode(record.body, type=_Id).event_id, record.routing_key, file)
