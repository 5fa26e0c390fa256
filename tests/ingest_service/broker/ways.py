"""The two ways of delivery, read in process: past aiormq, and through what aiormq would be shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from ingest_service.broker.delivery_frames import DeliveryReader, Inbox
from ingest_service.broker.headers import HeaderReader, Headers
from ingest_service.broker.safe_deliveries import properties_of


@dataclass
class Taken:
    """What a reader handed over for a channel."""

    tags: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    redelivered: int = 0
    headers: dict[int, Headers] = field(default_factory=dict)

    def take(self, tags: range, bodies: list[bytes], redelivered: int, headers: Mapping[int, Headers]) -> None:
        assert len(tags) == len(bodies) > 0
        self.tags += tags
        self.bodies += bodies
        self.redelivered += redelivered
        self.headers.update(headers)


def fast(pieces: Iterable[bytes], read_headers: HeaderReader) -> Taken:
    """What the fast way hands over."""
    taken, reader = Taken(), DeliveryReader()
    reader.watch(1, Inbox(taken.take, read_headers))
    for piece in pieces:
        assert reader.feed(piece) == b""
    return taken


def plain(pieces: Iterable[bytes], read_headers: HeaderReader) -> Taken:
    """What aiormq would: frame by frame, each decoded by pamqp."""
    taken, reader = Taken(), DeliveryReader()
    stream = b"".join(map(reader.feed, pieces))
    at, missing, body = 0, 0, b""
    while at < len(stream):
        size = int.from_bytes(stream[at + 3 : at + 7]) + 8
        used, channel, part = frame.unmarshal(stream[at : at + size])
        assert (used, channel) == (size, 1)
        at += size
        if isinstance(part, Basic.Deliver):
            taken.tags.append(part.delivery_tag or 0)
            taken.redelivered += bool(part.redelivered)
            assert part.consumer_tag == "ctag"
        elif isinstance(part, ContentHeader):
            body, missing = b"", part.body_size
            kept = read_headers(properties_of(part.properties.headers))
            if kept:
                taken.headers[taken.tags[-1]] = kept
        else:
            assert isinstance(part, ContentBody)
            assert part.value is not None
            body += part.value
            missing -= len(part.value)
        if not missing and not isinstance(part, Basic.Deliver):
            taken.bodies.append(body)
    return taken


def cut(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(at % (len(stream) + 1) for at in cuts)})
    return [stream[start:end] for start, end in pairwise(edges)]
