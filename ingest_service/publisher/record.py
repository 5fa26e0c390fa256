"""An event on its way to the broker, and its form in a spool file.

A file is MAGIC and then records: length and CRC-32 (4 bytes each, big-endian), then that many bytes of content, which
are the routing key, a newline and the body. The CRC covers the length too: a stretch of zeros, as a crash of the
machine can leave behind, is no record.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

MAGIC = b"gccspl1\n"

_HEADER = struct.Struct(">II")


class Record(NamedTuple):
    """An event as it is published."""

    routing_key: str
    body: bytes


class Read(NamedTuple):
    """What a spool file holds: whole records from its beginning, and how many bytes after them are none."""

    records: list[Record]
    torn_bytes: int


def packed(records: Iterable[Record]) -> bytes:
    """The records as they are appended to a file."""
    return b"".join(_packed(each) for each in records)


def unpacked(content: bytes) -> Read:
    """The records of a file, up to the first that is not whole: nothing tells where the next one would begin."""
    if not content.startswith(MAGIC):
        return Read([], len(content))
    records: list[Record] = []
    position = len(MAGIC)
    while position + _HEADER.size <= len(content):
        length, checksum = _HEADER.unpack_from(content, position)
        end = position + _HEADER.size + length
        if end > len(content):
            break
        inside = content[position + _HEADER.size : end]
        if crc32(inside, crc32(content[position : position + 4])) != checksum:
            break
        routing_key, _, body = inside.partition(b"\n")
        records.append(Record(routing_key.decode(), body))
        position = end
    return Read(records, len(content) - position)


def _packed(record: Record) -> bytes:
    inside = b"%b\n%b" % (record.routing_key.encode(), record.body)
    length = len(inside).to_bytes(4, "big")
    return length + crc32(inside, crc32(length)).to_bytes(4, "big") + inside
