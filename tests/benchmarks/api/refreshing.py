"""Refreshes beside the API's clients: marts change in ClickHouse, and the sync brings the changes."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.syncing import Synced, sync
from tests.benchmarks.api import data
from tests.benchmarks.bench import Bench

_GENERATIONS = count(1)
"""Of changes: none twice, or a change would change nothing."""


@dataclass
class Refreshes:
    """What was refreshed meanwhile."""

    synced: list[Synced] = field(default_factory=list)
    begun: int = 0


def synced(bench: Bench, marts: Sequence[Mart]) -> Iterator[Synced]:
    """Sync the marts, one after the other."""
    for mart in marts:
        with (
            clickhouse.connect(bench.environment["GCC_SYNC_CLICKHOUSE_URL"], {}) as source,
            postgres.connect(bench.environment["POSTGRES_URL"], "benchmark") as target,
        ):
            yield sync(source, target, mart)


@contextmanager
def refreshing(bench: Bench, scale: data.Scale, marts: Sequence[Mart]) -> Iterator[Refreshes]:
    """Refresh again and again until the end of the block, which begins when marts have changed.

    Raises what a refresh raised.
    """
    done, over = Refreshes(), threading.Event()
    failed: list[BaseException] = []

    def refresh() -> None:
        try:
            while not over.is_set():
                done.begun += 1
                for result in synced(bench, marts):
                    done.synced.append(result)
                    if over.is_set():
                        return
                data.change(bench, scale, marts, next(_GENERATIONS))
        except Exception as error:  # noqa: BLE001  raised below, in the caller's thread
            failed.append(error)

    data.change(bench, scale, marts, next(_GENERATIONS))
    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]
