"""The tail takes every row that commits, however late: ids are not committed in their order."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from tests.gcc_platform.migration.moving import Moving

_INSERT = (
    "INSERT INTO profile_log (platform, profile_id, metrics, source, timestamp, event_id) "
    "VALUES ('INSTAGRAM', %s, '[]', 'race', now() AT TIME ZONE 'UTC', %s) RETURNING id"
)
_SECONDS = 6.0


@pytest.fixture
def tailing(moving: Moving, old: psycopg.Connection) -> Moving:
    """The tail of a table, from its first id on."""
    moving.prepare("profile_log")
    moving.plan("profile_log")
    return moving


def ids(moving: Moving) -> set[int]:
    """The old rows that are in ClickHouse."""
    return {int(row["event_id"][-12:], 16) for row in moving.stored("profile_log", "event_id")}


def insert(connection: psycopg.Connection, event_id: object = None) -> int:
    made = connection.execute(_INSERT, ["p", event_id]).fetchone()
    assert made is not None
    return int(made[0])


def test_a_row_that_commits_after_later_ones_is_taken(
    tailing: Moving, old: psycopg.Connection, old_server: str
) -> None:
    with psycopg.connect(old_server) as slow:
        early = insert(slow)
        late = insert(old)
        assert tailing.poll("profile_log") == 1
        assert ids(tailing) == {late}
        assert tailing.noted("SELECT first_id, last_id FROM migration.gaps") == [(early, early)]
        slow.commit()
    assert tailing.poll("profile_log") == 1
    assert ids(tailing) == {early, late}
    assert tailing.noted("SELECT * FROM migration.gaps") == []


def test_a_gap_of_a_rollback_is_closed_when_its_transaction_has_ended(
    tailing: Moving, old: psycopg.Connection, old_server: str
) -> None:
    with psycopg.connect(old_server) as slow:
        insert(slow)
        insert(old)
        tailing.poll("profile_log")
        tailing.poll("profile_log")
        assert len(tailing.noted("SELECT * FROM migration.gaps")) == 1
        slow.rollback()
    tailing.poll("profile_log")
    assert tailing.noted("SELECT * FROM migration.gaps") == []


def test_a_gap_of_a_transaction_that_has_only_taken_an_id_stays_open(
    tailing: Moving, old: psycopg.Connection, old_server: str
) -> None:
    """A sequence gives an id to a transaction that has no id of its own yet."""
    with psycopg.connect(old_server) as slow:
        [taken] = slow.execute("SELECT nextval('profile_log_id_seq')").fetchall()
        insert(old)
        tailing.poll("profile_log")
        tailing.poll("profile_log")
        slow.execute(
            _INSERT.replace("(platform", "(id, platform").replace("('INSTAGRAM'", "(%s, 'INSTAGRAM'"),
            [taken[0], "p", None],
        )
        slow.commit()
    tailing.poll("profile_log")
    assert taken[0] in ids(tailing)


def test_a_sequence_that_jumps_far_ahead_costs_nothing(tailing: Moving, old: psycopg.Connection) -> None:
    insert(old)
    old.execute("SELECT setval('profile_log_id_seq', 4000000000)")
    insert(old)
    assert tailing.poll("profile_log") == 2
    insert(old)
    assert tailing.poll("profile_log") == 1


def test_rows_of_dual_writing_crawlers_are_passed(tailing: Moving, old: psycopg.Connection) -> None:
    insert(old, uuid4())
    mine = insert(old)
    assert tailing.poll("profile_log") == 1
    assert ids(tailing) == {mine}
    assert tailing.noted("SELECT * FROM migration.gaps") == []


def request(old: psycopg.Connection, key: str, status: str = "PENDING") -> int:
    """Insert a crawl request; its id."""
    made = old.execute(
        "INSERT INTO scrape_request_log (idempotency_key, platform, flow, status, scraped_at) "
        "VALUES (%s, 'I', 'f', %s, '2026-01-02') RETURNING id",
        [key, status],
    ).fetchone()
    assert made is not None
    return int(made[0])


def requests(moving: Moving) -> list[tuple[int, str]]:
    return [(row["scl_id"], row["status"]) for row in moving.stored("scrape_request_log", "event_id, scl_id, status")]


def test_a_row_is_taken_when_it_is_final_however_long_after_the_tail_and_the_backfill_have_passed_it(
    moving: Moving, old: psycopg.Connection
) -> None:
    moving.prepare("scrape_request_log")
    early, done = request(old, "early"), request(old, "done", "COMPLETE")
    moving.plan("scrape_request_log")
    moving.backfill("scrape_request_log")
    late, gone = request(old, "late"), request(old, "gone")
    assert moving.poll("scrape_request_log") == 0
    assert moving.poll("scrape_request_log") == 0
    assert requests(moving) == [(done, "COMPLETE")]
    old.execute("UPDATE scrape_request_log SET status = 'FAILED' WHERE id = ANY(%s)", [[early, late]])
    old.execute("DELETE FROM scrape_request_log WHERE id = %s", [gone])
    assert moving.poll("scrape_request_log") == 2
    moving.poll("scrape_request_log")
    assert requests(moving) == [(early, "FAILED"), (done, "COMPLETE"), (late, "FAILED")]
    assert moving.noted("SELECT first_id, last_id FROM migration.gaps") == []
    assert moving.check("scrape_request_log").different == 0
    assert len(moving.verify("scrape_request_log").equal) == 2


def test_no_row_is_lost_to_late_commits_and_the_usual_ways_lose_some(tailing: Moving, old_server: str) -> None:
    """Without rows that `id > last` loses, the race would prove nothing."""
    committed: set[int] = set()
    by_last_id: set[int] = set()
    with crawlers(old_server, committed) as running, psycopg.connect(old_server, autocommit=True) as reader:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            tailing.poll("profile_log")
            newest = max(by_last_id, default=0)
            found = reader.execute("SELECT id FROM profile_log WHERE id > %s AND event_id IS NULL", [newest])
            by_last_id.update(row_id for (row_id,) in found)
        running()
    while tailing.poll("profile_log") or tailing.noted("SELECT FROM migration.gaps"):
        pass
    assert ids(tailing) == committed
    assert committed - by_last_id, "nobody committed late: the race proves nothing"


@contextmanager
def crawlers(url: str, committed: set[int]) -> Iterator[Callable[[], None]]:
    """Ten crawlers whose transactions take up to 0.3 s, of which one in twenty fails; some of their rows are dual."""
    stopped, lock = threading.Event(), threading.Lock()

    def crawl(number: int) -> None:
        chance = random.Random(number)
        with psycopg.connect(url) as connection:
            while not stopped.is_set():
                rows = [insert(connection) for _ in range(chance.randint(1, 5))]
                if chance.random() < 0.1:
                    insert(connection, uuid4())
                time.sleep(chance.random() * 0.3)
                if chance.random() < 0.05:
                    connection.rollback()
                    continue
                connection.commit()
                with lock:
                    committed.update(rows)

    threads = [threading.Thread(target=crawl, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()

    def stop() -> None:
        stopped.set()
        for thread in threads:
            thread.join()

    try:
        yield stop
    finally:
        stop()
