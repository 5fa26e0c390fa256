"""The events that everything here is measured on: the simulator's mix of all twelve types, the same in every round."""

from collections import defaultdict
from functools import lru_cache
from itertools import islice

from ingest_service.events.registry import EVENT_TYPES
from ingest_service.simulator import Body, Simulator

_MADE_AT_MOST = 500_000


@lru_cache(maxsize=1)
def _made() -> list[Body]:
    return list(islice(Simulator(seed=4).events(), _MADE_AT_MOST))


def mixed(count: int) -> list[Body]:
    """So many events; beyond half a million the first ones come again (a raw table takes them as new rows)."""
    made = _made()
    return [*made] * (count // len(made)) + made[: count % len(made)]


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
