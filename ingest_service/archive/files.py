"""Archive files: compressed lines of JSON in object storage or a folder. A file is complete or does not exist."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import fsspec
import msgspec
from backports import zstd
from fsspec.implementations.local import LocalFileSystem

from ingest_service.archive import private_folders
from ingest_service.archive.records import DeadLetterRecord
from ingest_service.errors import UserError

WRITE_SECONDS = 120
SUFFIX = ".ndjson.zst"
_PUTS_WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}


class NotWritten(UserError):
    """An archive file could not be written; an incomplete file is never taken for one."""


class BadArchiveUrl(UserError):
    """GCC_ARCHIVE_URL cannot be used; the message omits the URL, which may have a password."""


class ArchiveLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a file. A body that is not UTF-8 is in base64, so that its bytes are kept."""

    letter_id: UUID
    event_type: str
    archived_at: datetime
    headers: dict[str, object]
    body: str | None = None
    body_base64: bytes | None = None


class ArchiveFiles:
    """The archive at an fsspec URL."""

    def __init__(self, url: str) -> None:
        """Does not connect yet. Raises BadArchiveUrl."""
        try:
            self._storage, self._root = fsspec.url_to_fs(url)
        except ImportError as error:
            raise BadArchiveUrl(
                f"GCC_ARCHIVE_URL: {error}. For s3:// install the extra: pip install 'gcc[s3]'"
            ) from None
        except (ValueError, TypeError, OSError) as error:
            raise BadArchiveUrl(f"GCC_ARCHIVE_URL cannot be understood ({type(error).__name__})") from None
        self._local = isinstance(self._storage, LocalFileSystem)
        protocols = {self._storage.protocol} if isinstance(self._storage.protocol, str) else {*self._storage.protocol}
        if not self._local and not protocols & _PUTS_WHOLE:
            raise BadArchiveUrl(
                f"GCC_ARCHIVE_URL: {min(protocols)} may leave half a file; use a folder, s3://, gs:// or abfs://"
            )

    @property
    def shown(self) -> str:
        """The archive's location, without credentials and options of the URL."""
        return str(self._storage.unstrip_protocol(self._root))

    def new(self, event_type: str, now: datetime) -> str:
        """A new file's path, by type and the hour of archiving."""
        return f"{self._root}/{event_type}/date={now:%Y-%m-%d}/hour={now:%H}/{uuid4()}{SUFFIX}"

    def url(self, path: str) -> str:
        """The URL of a path, without credentials."""
        return str(self._storage.unstrip_protocol(path))

    async def write(self, path: str, letters: Sequence[DeadLetterRecord]) -> None:
        """Write a file; returns when it is complete and durable. Raises NotWritten."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await asyncio.to_thread(self._write, path, letters)
        except TimeoutError:
            raise NotWritten(f"GCC_ARCHIVE_URL: {self.url(path)} was not written within {WRITE_SECONDS} s") from None
        except Exception as error:  # each storage raises its own errors, which have no other base
            raise NotWritten(
                f"GCC_ARCHIVE_URL: {self.url(path)} cannot be written ({type(error).__name__}: {error})"
            ) from error

    def _write(self, path: str, letters: Sequence[DeadLetterRecord]) -> None:
        compressor = zstd.ZstdCompressor()  # one line at a time: letters may be megabytes each
        data = b"".join((*(compressor.compress(_line(letter)) for letter in letters), compressor.flush()))
        if self._local:
            _write_durably(Path(path), data)
        else:
            self._storage.pipe_file(path, data)


def _line(letter: DeadLetterRecord) -> bytes:
    try:
        text, encoded = letter.body.decode(), None
    except UnicodeDecodeError:
        text, encoded = None, letter.body
    line = ArchiveLine(
        letter_id=letter.letter_id,
        event_type=letter.event_type,
        archived_at=letter.archived_at,
        headers=letter.headers,
        body=text,
        body_base64=encoded,
    )
    return msgspec.json.encode(line) + b"\n"


def _write_durably(path: Path, data: bytes) -> None:
    """Write under a temporary name first: a file with its final name is complete, even after a power failure."""
    private_folders.make(path.parent)
    partial = path.with_name(f"{path.name}.partial")
    private_folders.write(partial, data)
    partial.replace(path)
    private_folders.sync(path.parent)
