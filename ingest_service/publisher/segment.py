"""The spool file format: blocks of records between sync markers, so that damage is confined to its block.

A file is MAGIC followed by blocks. A block has a head, records and a tail. All numbers are big-endian, 4 bytes each:

    head     HEAD_MARK, records before this block, records in it, their size, their CRC-32, CRC-32 of the head
    record   length, and that many bytes: the routing key, a newline and the body
    tail     TAIL_MARK, records up to here, CRC-32 of the tail

The marks contain bytes that never occur in UTF-8, so no event can contain one. Heads and tails carry record counts, so
the number of unreadable records is known, and the last tail gives the number of records without reading them.

Files of the first format (OLD_MAGIC) are read too: consecutive records, each with its CRC, without marks.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from ingest_service.publisher.record import Record

MAGIC = b"gccspl2\n"
OLD_MAGIC = b"gccspl1\n"
HEAD_MARK = b"\xff\xfehead\xff\xfe"
TAIL_MARK = b"\xff\xfetail\xff\xfe"
BLOCK_BYTES = 64 * 2**10
"""A block ends with the record that brings it to this size."""

_HEAD = struct.Struct(">8s4I")
_TAIL = struct.Struct(">8sI")
_NUMBER = struct.Struct(">I")
_OLD_HEAD = struct.Struct(">II")
HEAD_BYTES = _HEAD.size + _NUMBER.size
TAIL_BYTES = _TAIL.size + _NUMBER.size


class Read(NamedTuple):
    """The content of a spool file."""

    records: Sequence[Record]
    missing: int
    """Records that were written and cannot be read."""
    torn_bytes: int
    """Bytes at the end that belong to no complete block: the writer was stopped."""
    damaged: bool
    """Whether the file may contain more than could be read."""


class _Head(NamedTuple):
    mark: bytes
    before: int
    records: int
    length: int
    checksum: int


def packed(records: Sequence[Record], before: int, block_bytes: int = BLOCK_BYTES) -> bytes:
    """Encode records as blocks to append to a file that has `before` records."""
    blocks: list[bytes] = []
    lines: list[bytes] = []
    size = 0
    for routing_key, body in records:
        line = b"%b\n%b" % (routing_key.encode(), body)
        lines += (_NUMBER.pack(len(line)), line)
        size += len(line)
        if size >= block_bytes:
            blocks.append(_block(b"".join(lines), before, len(lines) // 2))
            before += len(lines) // 2
            lines, size = [], 0
    if lines:
        blocks.append(_block(b"".join(lines), before, len(lines) // 2))
    return b"".join(blocks)


def read(content: bytes, expected: int | None = None) -> Read:
    """Read all complete records, in order. `expected` is the number of records written, if known.

    Without it, blocks at the end that have neither head nor tail count as torn, not as missing.
    """
    if content.startswith(OLD_MAGIC):
        return _read_old(content, expected)
    records: list[Record] = []
    total = 0
    position = 0
    end_of_blocks = len(MAGIC) if content.startswith(MAGIC) else 0
    while (position := content.find(HEAD_MARK, position)) >= 0:
        head = _head_at(content, position)
        if head is None:
            position += 1
            continue
        if expected is not None and head.before >= expected:
            break  # written by a failed append: its records were not counted, and are stored elsewhere
        total = max(total, head.before)
        start, position = position + HEAD_BYTES, position + HEAD_BYTES + head.length
        lines = content[start:position]
        if len(lines) == head.length and crc32(lines) == head.checksum:
            records += _records(lines)
            total = max(total, head.before + head.records)
            end_of_blocks = min(position + TAIL_BYTES, len(content))
    counted, end_of_tail = _last_tail(content)
    total = max(total, counted) if expected is None else expected
    missing = total - len(records)
    return Read(records, missing, len(content) - max(end_of_blocks, end_of_tail), missing > 0)


def counted(tail: bytes) -> int | None:
    """The number of records in a file by its last TAIL_BYTES; None if they are not a valid tail."""
    if len(tail) != TAIL_BYTES or _NUMBER.unpack_from(tail, _TAIL.size)[0] != crc32(tail[: _TAIL.size]):
        return None
    mark, total = _TAIL.unpack_from(tail)
    return int(total) if mark == TAIL_MARK else None


def _block(lines: bytes, before: int, count: int) -> bytes:
    head = _HEAD.pack(HEAD_MARK, before, count, len(lines), crc32(lines))
    tail = _TAIL.pack(TAIL_MARK, before + count)
    return b"".join((head, _NUMBER.pack(crc32(head)), lines, tail, _NUMBER.pack(crc32(tail))))


def _head_at(content: bytes, position: int) -> _Head | None:
    head = content[position : position + HEAD_BYTES]
    if len(head) != HEAD_BYTES or _NUMBER.unpack_from(head, _HEAD.size)[0] != crc32(head[: _HEAD.size]):
        return None
    return _Head(*_HEAD.unpack_from(head))


def _last_tail(content: bytes) -> tuple[int, int]:
    """The count in the last valid tail, and the offset of its end; zeros if there is none."""
    position = len(content)
    while (position := content.rfind(TAIL_MARK, 0, position)) >= 0:
        end = position + TAIL_BYTES
        if (total := counted(content[position:end])) is not None:
            return total, end
        position += len(TAIL_MARK) - 1
    return 0, 0


def _records(lines: bytes) -> list[Record]:
    records = []
    position = 0
    while position < len(lines):
        start = position + _NUMBER.size
        position = start + _NUMBER.unpack_from(lines, position)[0]
        records.append(_record(lines[start:position]))
    return records


def _record(line: bytes) -> Record:
    routing_key, _, body = line.partition(b"\n")
    return Record(routing_key.decode(), body)


def _read_old(content: bytes, expected: int | None) -> Read:
    """Read up to the first invalid record: without marks the start of the next one is unknown."""
    records: list[Record] = []
    position = len(OLD_MAGIC)
    while position + _OLD_HEAD.size <= len(content):
        length, checksum = _OLD_HEAD.unpack_from(content, position)
        end = position + _OLD_HEAD.size + length
        line = content[position + _OLD_HEAD.size : end]
        # The CRC covers the length too, so a run of zeros is not a valid record.
        if end > len(content) or crc32(line, crc32(content[position : position + 4])) != checksum:
            break
        records.append(_record(line))
        position = end
    missing = max(0, (expected or 0) - len(records))
    torn_bytes = len(content) - position
    return Read(records, missing, torn_bytes, bool(missing or torn_bytes))
