"""The record type that the publisher queues, spools and sends."""

from typing import NamedTuple


class Record(NamedTuple):
    """An encoded event and its routing key."""

    routing_key: str
    body: bytes
