"""An event on its way to the broker."""

from typing import NamedTuple


class Record(NamedTuple):
    """An event as it is published."""

    routing_key: str
    body: bytes
