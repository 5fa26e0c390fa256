"""What crawlers feel of a backfill: how long one row and its commit take in the old database, alone and beside it."""

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import psycopg

from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.migration.workers import TABLES, working

_WRITERS = 2
_PAUSE_SECONDS = 0.02
_INSERT = """
INSERT INTO profile_log (platform, profile_id, metrics, dimensions, source, timestamp) VALUES ('INSTAGRAM', %s,
    '[{"key": "followers", "value": 1250}, {"key": "following", "value": 310}]',
    '[{"key": "handle", "value": "creator"}]', 'graphapi', now() AT TIME ZONE 'UTC')
"""
WAYS: dict[str, Sequence[str] | None] = {
    "alone": None,
    "one worker": (),
    "one worker, --rate 10000": ("--rate", "10000"),
}


class Felt(msgspec.Struct, frozen=True):
    """Milliseconds."""

    inserts: int
    p50: float
    p99: float
    most: float


def measure(servers: Servers, inserts: int, turns: int, chunk_rows: int, say: Callable[[str], None]) -> dict[str, Felt]:
    """So many inserts in each way, in turns."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way, options in WAYS.items():
            each = inserts // turns
            if options is None:
                times[way] += _insert(servers, each)
            else:
                with working(servers, 1, chunk_rows, *TABLES, *options):
                    _wait_until_reading(servers)
                    times[way] += _insert(servers, each)
    found = {way: _felt(each) for way, each in times.items()}
    for way, felt in found.items():
        say(f"  {way}: p50 {felt.p50:.1f} ms, p99 {felt.p99:.1f} ms")
    return found


def _insert(servers: Servers, count: int) -> list[float]:
    """Rows of two crawlers, 50 a second each; the seconds that each took."""
    times: list[float] = []

    def crawl(number: int) -> None:
        with psycopg.connect(servers.old_url, autocommit=True) as connection:
            for _ in range(count // _WRITERS):
                began = time.monotonic()
                connection.execute(_INSERT, [f"crawler_{number}"])
                times.append(time.monotonic() - began)
                time.sleep(max(0.0, _PAUSE_SECONDS - times[-1]))

    threads = [threading.Thread(target=crawl, args=(number,)) for number in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _wait_until_reading(servers: Servers) -> None:
    """Until a worker's COPY runs, or it has nothing left to do."""
    with psycopg.connect(servers.old_url, autocommit=True) as connection:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if connection.execute("SELECT FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%'").rowcount:
                return
            time.sleep(0.05)


def _felt(seconds: list[float]) -> Felt:
    ordered = sorted(each * 1000 for each in seconds)
    return Felt(len(ordered), ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])
