"""A hop between the servers: ClickHouse writes a query's rows to an object, and PostgreSQL is loaded from that.

For networks where no process reaches both: ClickHouse's own s3() or file() writes, this process only reads. An object
is deleted when it was read, or when the sync ends; those of killed syncs by a later sync.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from uuid import uuid4

import structlog
from backports import zstd

from gcc_platform.resources.clickhouse import CHUNK_BYTES, ClickHouse
from gcc_platform.resources.object_store import ObjectStore, ObjectStoreFailed
from gcc_platform.stage_location import COLLECTION, SETTING, Folder, StageLocation
from ingest_service.errors import UserError

LEFTOVER = timedelta(days=1)
"""No sync takes as long: an older object is of one that was killed."""

# One object per query: four written at once took 1.1 to 1.3 times as long and 1.1 to 1.4 times the CPU of one.
# zstd's first level: 5.8 times smaller for 4 % more CPU in ClickHouse; level 3 is not smaller, lz4's twice as large.
_SETTINGS: Mapping[str, str | int] = {
    "output_format_compression_level": 1,
    "s3_truncate_on_insert": 1,  # or ClickHouse looks first whether there is one, and needs the right to read
    "s3_retry_attempts": 5,  # a store that is away is an error after 6 s; with the default of 500 it is none for hours
}
_INTO_BUCKET = (
    f"INSERT INTO FUNCTION s3({COLLECTION}, filename = {{object:String}}, format = 'TabSeparated', "
    "compression_method = 'zstd') "
)
_INTO_FOLDER = "INSERT INTO FUNCTION file({object:String}, 'TabSeparated', 'auto', 'zstd') "

_OURS = re.compile(r"[\w-]+/[\w-]+-[0-9a-f]{32}\.tsv\.zst", re.ASCII)

_log = structlog.get_logger()


class StagedRowsLost(UserError):
    """An object does not have the rows that ClickHouse wrote to it; none of them may be served."""


class StagedRows:
    """The rows of queries, by way of objects. It has the method of ClickHouse that the sync uses."""

    def __init__(self, clickhouse: ClickHouse, location: StageLocation, mart: str, run_id: str) -> None:
        self._clickhouse = clickhouse
        self._location = location
        self._begin = f"{_safe(mart)}/{_safe(run_id) or 'by-hand'}"
        self._written: set[str] = set()
        self._has_staged = False

    @cached_property
    def _store(self) -> ObjectStore:
        """Not made for a mart that has not changed: its package takes a second to import."""
        return ObjectStore(self._location)

    def tab_separated(self, query: str) -> Iterator[bytes]:
        """As ClickHouse's: the rows as text that PostgreSQL's COPY reads, of which one piece is in memory.

        Raises ClickHouseFailed, ObjectStoreFailed and StagedRowsLost, also at the end: discard what came before it.
        """
        name = f"{self._begin}-{uuid4().hex}.tsv.zst"
        self._written.add(name)
        self._has_staged = True
        expected = self._write(name, query)
        if expected:
            yield from _counted(self._store, name, expected)
        self._delete(name)

    def close(self) -> None:
        """Delete the objects of queries that were not read to their end."""
        for name in sorted(self._written):
            self._delete(name)

    def delete_leftovers(self) -> None:
        """Delete the objects of killed syncs, of any mart. A sync that needed no rows does not look for them."""
        if not self._has_staged:
            return
        try:
            for name in self._store.older_than(datetime.now(UTC) - LEFTOVER):
                if _OURS.fullmatch(name):
                    self._store.delete(name)
        except ObjectStoreFailed as error:
            _log.warning("old objects stay in the stage", reason=str(error))

    def _write(self, name: str, query: str) -> int:
        if isinstance(self._location, Folder):
            into, place = _INTO_FOLDER, str(self._location.path / name)
        else:
            into, place = _INTO_BUCKET, name
        return self._clickhouse.write_rows(into + query, {"object": place}, _SETTINGS)

    def _delete(self, name: str) -> None:
        """The rows are right whether or not this succeeds: a failure is logged, and a later sync deletes the object."""
        self._written.discard(name)
        try:
            self._store.delete(name)
        except ObjectStoreFailed as error:
            _log.warning("an object stays in the stage", reason=str(error))


@contextmanager
def row_source(
    location: StageLocation | None, clickhouse: ClickHouse, mart: str, run_id: str
) -> Iterator[ClickHouse | StagedRows]:
    """Where the rows of a sync come from: without a location, ClickHouse itself."""
    if location is None:
        yield clickhouse
        return
    staged = StagedRows(clickhouse, location, mart, run_id)
    try:
        yield staged
    finally:
        staged.close()
    staged.delete_leftovers()


def _counted(store: ObjectStore, name: str, expected: int) -> Iterator[bytes]:
    """The text of an object, which must have as many rows as ClickHouse wrote."""
    rows = 0
    for chunk in _decompressed(store, name):
        rows += chunk.count(b"\n")
        yield chunk
    if rows != expected:
        raise StagedRowsLost(_lost(store, name, f"has {rows} rows, and ClickHouse wrote {expected}"))


def _decompressed(store: ObjectStore, name: str) -> Iterator[bytes]:
    frame = zstd.ZstdDecompressor()
    try:
        for piece in store.read(name):
            rest = piece
            while rest or not (frame.needs_input or frame.eof):
                if frame.eof:
                    frame = zstd.ZstdDecompressor()
                chunk = frame.decompress(rest, CHUNK_BYTES)
                rest = frame.unused_data
                if chunk:
                    yield chunk
    except zstd.ZstdError as error:
        raise StagedRowsLost(_lost(store, name, f"cannot be decompressed ({error})")) from None
    if not frame.eof:
        raise StagedRowsLost(_lost(store, name, "ends too early"))


def _lost(store: ObjectStore, name: str, what: str) -> str:
    return f"{SETTING}: {store.address(name)} {what}. The rows before are still served; sync again"


def _safe(name: str) -> str:
    """A name as a part of an object's: `{`, `*` and `/` would mean something there."""
    return re.sub(r"[^\w-]", "_", name, flags=re.ASCII)
