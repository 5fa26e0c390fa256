"""Spool files as earlier versions wrote them."""

import struct
from zlib import crc32

from ingest_service.publisher.record import Record
from ingest_service.publisher.segment import OLD_MAGIC


def of_the_first_form(records: list[Record]) -> bytes:
    """A file as earlier versions wrote it."""
    parts = [OLD_MAGIC]
    for record in records:
        inside = b"%b\n%b" % (record.routing_key.encode(), record.body)
        length = struct.pack(">I", len(inside))
        parts += (length, struct.pack(">I", crc32(inside, crc32(length))), inside)
    return b"".join(parts)
