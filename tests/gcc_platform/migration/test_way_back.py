"""To the platform, back to PostgreSQL and forward: nothing is lost, however often the reverse writer is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gcc_platform.migration.rehearsal.log_models import PostLog, ProfileLog
from ingest_service.publisher.dual_write import Published
from ingest_service.publisher.thread_publisher import ThreadPublisher
from tests.conftest import NAMES
from tests.gcc_platform.migration.crawling import BOTH, EVENTS, ROWS, Crawlers, Snapshot
from tests.gcc_platform.migration.moving import Moving
from tests.harness import emptied
from tests.harness.running import eventually, run, service

SECONDS = float(os.environ.get("GCC_WAY_BACK_SECONDS", "6"))
"""Of crawling. The short form has a thousand snapshots; 45 seconds have more than 5,000."""

TABLES = ("profile_log", "post_log")
PHASES = ((BOTH, BOTH, BOTH), (BOTH, EVENTS, EVENTS), (ROWS, BOTH, ROWS), (EVENTS, EVENTS, EVENTS))
"""What each of three crawlers writes: forward; a third still writes rows; back; forward again."""

_LEAST_KILLS = 2

# The rows of the reverse writer take a time, so that it can be killed between them.
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF current_setting('application_name') = 'gcc migration' THEN PERFORM pg_sleep(0.02); END IF; RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON profile_log FOR EACH ROW EXECUTE FUNCTION slow();
CREATE TRIGGER slow AFTER INSERT ON post_log FOR EACH ROW EXECUTE FUNCTION slow()
"""
INSERTING = "SELECT FROM pg_stat_activity WHERE query LIKE 'WITH arrived%' AND state = 'active'"


class Daemons:
    """The migration's commands as processes, whose output goes to a file."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        outside = {name: value for name, value in os.environ.items() if name not in NAMES}
        self._environment = {**outside, **environment}
        self._folder = folder
        self.log = folder / "migration.log"

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [Path(sys.executable).with_name("gcc-platform"), "migration", *arguments],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """Until the block ends."""
        process = self.start(*arguments)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class Killed:
    """The reverse writer, killed in the middle of its inserts and started again."""

    def __init__(self, daemons: Daemons, old: psycopg.Connection) -> None:
        self._daemons = daemons
        self._old = old
        self.kills = 0
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._daemons.start("reverse", *TABLES, "--seconds", "0.2")

    def kill_and_restart(self, seconds: float) -> None:
        """SIGKILL at its next insert, if there is one within this time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._old.execute(INSERTING).rowcount:
                self.process.kill()
                self.process.wait()
                self.kills += 1
                self.process = self._start()
                return
            time.sleep(0.005)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def servers(raw_tables: Mapping[str, str], moving: Moving, old: psycopg.Connection) -> Mapping[str, str]:
    """Empty queues and tables, and an old database that is prepared."""
    done = run(raw_tables, "init")
    assert done.returncode == 0, done.stderr.decode()
    emptied.empty(raw_tables)
    moving.prepare(*TABLES)
    for table in TABLES:
        moving.plan(table)
    return {**raw_tables, "GCC_LEGACY_URL": moving.legacy_url}


@pytest.fixture(autouse=True)
def _no_hooks_for_other_tests() -> Iterator[None]:
    """The listeners on the mixin are for all of its classes."""
    yield
    for target in (Published, ProfileLog, PostLog):
        manager = getattr(target, "_sa_class_manager", None)
        if manager is not None:
            manager.dispatch.init.clear()


def test_there_and_back_and_forward_again_every_snapshot_is_once_on_both_sides(
    servers: Mapping[str, str], moving: Moving, old: psycopg.Connection, tmp_path: Path
) -> None:
    old.execute(SLOW)
    daemons = Daemons(servers, tmp_path)
    with (
        service(servers, tmp_path) as ingest,
        daemons.running("tail", *TABLES, "--seconds", "0.2"),
        ThreadPublisher(servers["AMQP_URL"], spool=tmp_path / "spool") as publisher,
    ):
        ingest.wait_ready()
        crawlers = Crawlers(moving.legacy_url, publisher.emit)
        back = Killed(daemons, old)
        chance = random.Random(5)
        try:
            for modes in PHASES:
                until = time.monotonic() + SECONDS / len(PHASES)
                with crawlers.crawl(*modes):
                    while (left := until - time.monotonic()) > 0:
                        back.kill_and_restart(left)
                        time.sleep(min(chance.uniform(0, 2), max(0.0, until - time.monotonic())))
            until = time.monotonic() + 60
            with crawlers.crawl(*PHASES[-1]):  # on a busy machine a writer starts slowly, and is killed less often
                while back.kills < _LEAST_KILLS and time.monotonic() < until:
                    back.kill_and_restart(5)
            ended = time.monotonic()
            for table in TABLES:
                old.execute(f"DROP TRIGGER slow ON {table}".encode())
            eventually(lambda: is_complete(moving, old, len(crawlers.committed)), 60, "both sides complete")
            took = time.monotonic() - ended
        finally:
            crawlers.close()
            back.end()
        assert publisher.counters.dropped == 0
    report = f"{len(crawlers.committed)} snapshots, {crawlers.rolled_back} rolled back, {back.kills} kills in mid-batch"
    print(f"{report}; both sides complete {took:.1f} s after the last one")
    assert back.kills >= _LEAST_KILLS, report
    assert crawlers.rolled_back, report
    expected = sorted(crawlers.committed, key=lambda each: each.number)
    assert in_postgres(old) == expected, report
    assert in_clickhouse(moving) == expected, report
    carried = [row for table in TABLES for row in moving.stored(table, "event_id") if row["event_id"][14] == "8"]
    assert carried, "no crawler wrote rows only: the tail had nothing to take"
    assert moving.noted("SELECT * FROM migration.unwritten") == []


def is_complete(moving: Moving, old: psycopg.Connection, snapshots: int) -> bool:
    rows = sum(one(old, f"SELECT count(*) FROM {table}") for table in TABLES)
    return rows >= snapshots and len(in_clickhouse(moving)) >= snapshots


def one(old: psycopg.Connection, query: str) -> int:
    [(count,)] = old.execute(query.encode()).fetchall()
    return int(count)


def in_postgres(old: psycopg.Connection) -> Sequence[Snapshot]:
    """All rows of the old tables, copies too."""
    found = []
    for table in TABLES:
        post_id = "platform_post_id" if table == "post_log" else "NULL"
        rows = old.execute(f"SELECT profile_id, {post_id}, timestamp, metrics, dimensions FROM {table}".encode())
        found += [
            snapshot(table, profile_id, post, at.replace(tzinfo=UTC), by_key(metrics), by_key(dimensions))
            for profile_id, post, at, metrics, dimensions in rows
        ]
    return sorted(found, key=lambda each: each.number)


def in_clickhouse(moving: Moving) -> Sequence[Snapshot]:
    found = []
    for table in TABLES:
        post_id = "shortcode" if table == "post_log" else "NULL AS shortcode"
        for row in moving.stored(table, f"profile_id, {post_id}, event_timestamp, metrics, dimensions"):
            at = datetime.fromisoformat(row["event_timestamp"]).replace(tzinfo=UTC)
            metrics, dimensions = json.loads(row["metrics"]), json.loads(row["dimensions"])
            found.append(snapshot(table, row["profile_id"], row["shortcode"], at, metrics, dimensions))
    return sorted(found, key=lambda each: each.number)


def snapshot(
    table: str,
    profile_id: str,
    post_id: str | None,
    at: datetime,
    metrics: Mapping[str, Any],
    dimensions: Mapping[str, Any],
) -> Snapshot:
    [(_, number), (_, followers)] = sorted(metrics.items(), reverse=True)
    [biography] = dimensions.values()
    return Snapshot(number, table, profile_id, post_id, at, followers, biography)


def by_key(pairs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {pair["key"]: pair["value"] for pair in pairs}
