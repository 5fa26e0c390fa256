"""The events that everything here is measured on: the simulator's mix of all twelve types, the same in every round."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from ingest_service.commands.simulator import Body, Simulator
from ingest_service.events.registry import EVENT_TYPES

_MADE_AT_MOST = 500_000
_BEFORE_ID = b'{"event_id":"'


@lru_cache(maxsize=1)
def _made() -> list[Body]:
    return list(islice(Simulator(seed=4).events(), _MADE_AT_MOST))


def mixed(count: int) -> list[Body]:
    """So many events. Beyond half a million the first ones come again as others: with event_ids of their own."""
    return [event for part in parts(count) for event in part]


def parts(count: int) -> Iterator[list[Body]]:
    """The same events, half a million at a time."""
    for number, start in enumerate(range(0, count, _MADE_AT_MOST)):
        made = _made()[: count - start]
        yield made if number == 0 else [(name, _renamed(body, number)) for name, body in made]


def _renamed(body: bytes, number: int) -> bytes:
    assert body.startswith(_BEFORE_ID)
    return b"%b%08x%b" % (_BEFORE_ID, number, body[len(_BEFORE_ID) + 8 :])


def posts(count: int) -> list[bytes]:
    """Bodies of post_log events, the most frequent type."""
    simulator = Simulator(seed=4)
    return [simulator.event("post_log") for _ in range(count)]


def by_type(events: list[Body]) -> dict[str, list[bytes]]:
    """Their bodies by type, in order."""
    sorted_: dict[str, list[bytes]] = defaultdict(list)
    for name, body in events:
        sorted_[name].append(body)
    return sorted_


def mean_bytes(events: list[Body]) -> float:
    """Of a body."""
    return sum(len(body) for _, body in events) / len(events)


TABLES = [each.table for each in EVENT_TYPES.values()]
