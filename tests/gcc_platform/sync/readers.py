"""Readers of PostgreSQL as the API's clients are: each reads again and again, and counts what it must not see.

A batch is right if it has all its rows and they are of one version: `rows`, and the same `version` in each.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

Read = Callable[[psycopg.Connection], Sequence[tuple[int, int, int]]]
"""Reads on a connection in autocommit mode; returns rows, first and last version of each batch that it saw."""


def read_committed(view: str) -> Read:
    return lambda connection: connection.execute(_batch(view)).fetchall()


def repeatable_read(view: str) -> Read:
    """Two reads in one transaction: of an old snapshot, too, a batch is whole."""

    def read(connection: psycopg.Connection) -> Sequence[tuple[int, int, int]]:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            return [*connection.execute(_batch(view)).fetchall(), *connection.execute(_batch(view)).fetchall()]

    return read


def prepared(view: str) -> Read:
    """Named columns, prepared once by each connection."""
    return lambda connection: connection.execute(_batch(view), prepare=True).fetchall()


def long_transactions(view: str, seconds: float) -> Read:
    """Transactions that hold the view for seconds; the next follows without a gap."""

    def read(connection: psycopg.Connection) -> Sequence[tuple[int, int, int]]:
        with connection.transaction():
            batch = connection.execute(_batch(view)).fetchall()
            connection.execute("SELECT pg_sleep(%s)", (seconds,))
            return batch

    return read


def _batch(view: str) -> bytes:
    return f"SELECT count(*), min(version), max(version) FROM {view}".encode()


_PAUSE_SECONDS = 0.005
"""So that readers leave the processors to what is tested."""


@dataclass
class Seen:
    """What all readers have seen."""

    rows: int
    reads: int = 0
    errors: list[str] = field(default_factory=list)
    partial: list[tuple[int, int, int]] = field(default_factory=list)
    longest_seconds: float = 0
    """The longest read; of those with long transactions, none."""
    versions: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, batches: Sequence[tuple[int, int, int]], seconds: float) -> None:
        with self._lock:
            self.reads += 1
            self.longest_seconds = max(self.longest_seconds, seconds)
            self.versions.update(first for _, first, _ in batches)
            self.partial.extend(batch for batch in batches if batch[0] != self.rows or batch[1] != batch[2])

    def fail(self, error: str) -> None:
        with self._lock:
            self.errors.append(error)


@contextmanager
def reading(url: str, rows: int, readers: Mapping[Read, int], slow: Sequence[Read] = ()) -> Iterator[Seen]:
    """Let so many readers of each kind read until the block ends. How long `slow` ones take is not recorded."""
    seen, stop = Seen(rows), threading.Event()
    kinds = [read for read, number in readers.items() for _ in range(number)]
    threads = [threading.Thread(target=_read, args=(url, read, seen, stop, read in slow)) for read in [*kinds, *slow]]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _read(url: str, read: Read, seen: Seen, stop: threading.Event, is_slow: bool) -> None:
    with psycopg.connect(url, autocommit=True, application_name="reader") as connection:
        while not stop.is_set():
            started = time.monotonic()
            try:
                batches = read(connection)
            except psycopg.Error as error:
                seen.fail(str(error))
            else:
                seen.record(batches, 0 if is_slow else time.monotonic() - started)
            if not is_slow:
                stop.wait(_PAUSE_SECONDS)
