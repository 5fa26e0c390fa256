"""Objects in a bucket, or files in a folder: read in pieces, listed by age, deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import fsspec

from gcc_platform.stage_location import SETTING, Folder, StageLocation
from ingest_service.errors import UserError

PIECE_BYTES = 2 << 20  # 14 MB of memory in all; with 4 MB pieces 23
_OPTIONS = {"connect_timeout": 5, "read_timeout": 60}


class ObjectStoreFailed(UserError):
    """The store refuses a request, or does not answer. The message has the object's address and no secret."""


class ObjectStore:
    """The objects below a location. Nothing is connected before the first request."""

    def __init__(self, location: StageLocation) -> None:
        """Raises ObjectStoreFailed if the package for S3 is not installed."""
        self._shown = str(location)
        with self._errors(""):
            if isinstance(location, Folder):
                self._root = str(location.path)
                self._storage = fsspec.filesystem("file")
            else:
                self._root = f"{location.bucket}/{location.prefix}".rstrip("/")
                self._storage = fsspec.filesystem(
                    "s3",
                    endpoint_url=location.endpoint,
                    key=location.key,
                    secret=location.secret,
                    config_kwargs=_OPTIONS,
                    # Others write here, and a cached client does not survive a fork.
                    use_listings_cache=False,
                    skip_instance_cache=True,
                )

    def address(self, name: str) -> str:
        """An object's address, without credentials."""
        return f"{self._shown}/{name}".rstrip("/")

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of an object. A piece is a request, so that the reader may be slow. Raises ObjectStoreFailed."""
        path = f"{self._root}/{name}"
        with self._errors(name):
            size = self._storage.size(path)
        for start in range(0, size, PIECE_BYTES):
            with self._errors(name):
                piece = self._storage.cat_file(path, start=start, end=min(start + PIECE_BYTES, size))
            yield piece

    def delete(self, name: str) -> None:
        """Delete an object, if it is there. Raises ObjectStoreFailed."""
        with self._errors(name):
            try:
                self._storage.rm_file(f"{self._root}/{name}")
            except FileNotFoundError:
                return  # S3 answers the same whether there was one or not

    def older_than(self, limit: datetime) -> list[str]:
        """The names of the objects written before a time. Raises ObjectStoreFailed."""
        with self._errors(""):
            found: dict[str, dict[str, Any]] = self._storage.find(self._root, detail=True)
        return [
            path.removeprefix(f"{self._root}/")
            for path, each in found.items()
            if each["type"] == "file" and _written(each) < limit
        ]

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise ObjectStoreFailed(f"{SETTING}: {error}. Install the extra: pip install 'gcc[s3]'") from None
        except Exception as error:  # each storage raises its own errors, which have no other base
            raise ObjectStoreFailed(
                f"{SETTING}: {self.address(name)}: {type(error).__name__}: {error}. gcc-platform doctor tries it"
            ) from error


def _written(details: dict[str, Any]) -> datetime:
    """When an object was written: S3's time, or a file's."""
    modified = details.get("LastModified")
    return modified if isinstance(modified, datetime) else datetime.fromtimestamp(details["mtime"], UTC)
