"""Twelve readers and one to compare them with, in a process of their own: what they saw, and how long they waited."""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import psycopg
from psycopg import IsolationLevel

from tests.sync_proof.simple_mart import TOTALS, Totals

CONTROL = "control"
PREPARED_STAR = "prepared SELECT *"
_PAUSE_SECONDS = 0.03
_FORKING = multiprocessing.get_context("forkserver")


@dataclass
class Seen:
    """By all readers of one kind."""

    reads: int = 0
    totals: set[tuple[str, Totals]] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_at: float = 0.0
    """Seconds of the clock that all processes share."""
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where they read."""

    url: str
    """As a user who may read all of it."""
    api_url: str
    """As the API, which may read its own view only."""
    relations: Sequence[str]
    """The served mart, the API's view and the user's view."""
    untouched: str
    """A table that nobody writes to."""
    long_seconds: float = 5.0
    """How long each transaction of one reader takes, one after the other without a pause."""


Read = Callable[[psycopg.Connection, str], Totals]


def _totals(connection: psycopg.Connection, relation: str, *, prepare: bool = False) -> Totals:
    row = connection.execute(f"SELECT {TOTALS} FROM {relation}".encode(), prepare=prepare).fetchone()
    assert row is not None
    return (row[0], row[1], row[2])


def _star(connection: psycopg.Connection, relation: str) -> Totals:
    """Every column, prepared: fails once after a column was added, until the client prepares it again."""
    rows = connection.execute(f"SELECT * FROM {relation}".encode(), prepare=True)
    names = [column.name for column in rows.description or ()]
    key, value = names.index("id"), names.index("v")
    found = [(row[value], row[value] * len(row[key])) for row in rows.fetchall()]
    return len(found), sum(first for first, _ in found), sum(second for _, second in found)


class _Readers:
    """The threads of the process."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stop = threading.Event()
        self.seen: dict[str, Seen] = {}

    def run(self, control: Connection) -> None:
        """Read until asked to stop; then send what was seen."""
        kinds: list[tuple[str, Callable[[Seen], None]]] = [
            *[("READ COMMITTED", self._committed)] * 4,
            *[("REPEATABLE READ", self._repeatable)] * 3,
            *[("prepared", self._prepared)] * 2,
            (PREPARED_STAR, self._prepared_star),
            (f"{self._place.long_seconds:g} s transactions", self._long),
            ("the API's role", self._api),
            (CONTROL, self._control),
        ]
        each_seen = [(name, Seen()) for name, _ in kinds]
        threads = [
            threading.Thread(target=read, args=(seen,), daemon=True)
            for (_, read), (_, seen) in zip(kinds, each_seen, strict=True)
        ]
        for thread in threads:
            thread.start()
        control.recv()
        self._stop.set()
        for thread in threads:
            thread.join(60)
        control.send(each_seen)

    def _committed(self, seen: Seen) -> None:
        with psycopg.connect(self._place.url, autocommit=True) as connection:
            for relation in self._relations():
                self._read(seen, connection, relation, _totals)

    def _repeatable(self, seen: Seen) -> None:
        with psycopg.connect(self._place.url, autocommit=True) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            while not self._stop.wait(_PAUSE_SECONDS):
                with connection.transaction():
                    for relation in self._place.relations:
                        if not self._timed(seen, connection, relation, _totals):
                            raise psycopg.Rollback

    def _prepared(self, seen: Seen) -> None:
        with psycopg.connect(self._place.url, autocommit=True) as connection:
            for relation in self._relations():
                self._read(seen, connection, relation, lambda on, name: _totals(on, name, prepare=True))

    def _prepared_star(self, seen: Seen) -> None:
        while not self._stop.is_set():
            with psycopg.connect(self._place.url, autocommit=True) as connection:
                while self._read(seen, connection, self._place.relations[0], _star) and not self._stop.is_set():
                    pass

    def _long(self, seen: Seen) -> None:
        """One transaction after the other, without a pause between them."""
        with psycopg.connect(self._place.url, autocommit=True) as connection:
            while not self._stop.is_set():
                with connection.transaction():
                    if not self._timed(seen, connection, self._place.relations[0], _totals):
                        raise psycopg.Rollback
                    self._stop.wait(self._place.long_seconds)

    def _api(self, seen: Seen) -> None:
        with psycopg.connect(self._place.api_url, autocommit=True) as connection:
            while not self._stop.is_set():
                self._read(seen, connection, self._place.relations[1], _totals)

    def _control(self, seen: Seen) -> None:
        with psycopg.connect(self._place.url, autocommit=True) as connection:
            while not self._stop.is_set():
                self._read(seen, connection, self._place.untouched, _totals)

    def _relations(self) -> Iterator[str]:
        while not self._stop.is_set():
            yield from self._place.relations

    def _read(self, seen: Seen, connection: psycopg.Connection, relation: str, read: Read) -> bool:
        self._stop.wait(_PAUSE_SECONDS)
        return self._timed(seen, connection, relation, read)

    def _timed(self, seen: Seen, connection: psycopg.Connection, relation: str, read: Read) -> bool:
        began = time.monotonic()
        try:
            seen.totals.add((relation, read(connection, relation)))
        except psycopg.Error as error:
            seen.errors[str(error).splitlines()[0]] += 1
            return False
        finally:
            seconds = time.monotonic() - began
            seen.reads += 1
            seen.seconds.append(seconds)
            if seconds > seen.slowest:
                seen.slowest, seen.slowest_at = seconds, began
        return True


def _process(control: Connection, place: Place) -> None:
    _Readers(place).run(control)


@contextmanager
def reading(place: Place) -> Iterator[list[tuple[str, Seen]]]:
    """Read while the block runs; the list is filled at its end."""
    ours, theirs = _FORKING.Pipe()
    process = _FORKING.Process(target=_process, args=(theirs, place))
    process.start()
    seen: list[tuple[str, Seen]] = []
    try:
        yield seen
        ours.send("stop")
        seen += ours.recv()
    finally:
        process.join(90)
        if process.is_alive():
            process.kill()
