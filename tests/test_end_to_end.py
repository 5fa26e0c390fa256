"""The whole way: a file of events to the broker, ClickHouse, the marts and PostgreSQL, compared with plain Python."""

import gzip
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.dbt_project import dbt, oracle
from tests.harness.emptied import empty
from tests.harness.running import Table, eventually, query, run, service

REAL = Path(__file__).parents[2] / "shared" / "data" / "youtube_trending_in.ndjson.gz"
_BATCH = 2_999
"""Rows of a batch: the last events do not fill one, and are held."""
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A finished run and what went into it."""

    environment: Environment
    events: list[dict[str, Any]]
    redelivered: int
    refresh: subprocess.CompletedProcess[str]

    def served(self, view: str) -> list[dict[str, Any]]:
        """The rows that the API's views read."""
        url = self.environment["GCC_DBT_POSTGRES_URL"]
        with psycopg.connect(url, options="-c timezone=UTC", row_factory=dict_row) as connection:
            return connection.execute(f"SELECT * FROM serving.{view}").fetchall()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real file, or a smaller one made up where it is absent."""
    if REAL.exists():
        return REAL
    warnings.warn(f"{REAL} IS ABSENT: the end-to-end test runs on 5,000 made-up events instead", stacklevel=1)
    made_up = tmp_path_factory.mktemp("events") / "made_up.ndjson.gz"
    made_up.write_bytes(gzip.compress(b"\n".join(_made_up(5_000))))
    return made_up


def _made_up(count: int) -> Iterator[bytes]:
    for number in range(count):
        post, day = number % 211, number // 211
        yield json.dumps(
            {
                "event_id": f"00000000-0000-4000-8000-{number:012d}",
                "source": "made_up",
                "platform": "YOUTUBE",
                "profile_id": f"channel {post % 17}",
                "handle": f"channel {post % 17}",
                "shortcode": f"post {post}",
                "publish_time": "2026-01-01 08:00:00",
                "event_timestamp": f"2026-01-{day % 28 + 1:02} {number % 24:02}:00:00",
                "metrics": {"views": number * 7919 % 100_003, "likes": None if number % 5 else number},
                "dimensions": {},
            }
        ).encode()


@pytest.fixture(scope="module")
def initialised(stack: Environment) -> Environment:
    """The stack as it is after `gcc-ingest init`."""
    assert run(stack, "init").returncode == 0
    empty(stack)
    dbt.forget(stack)
    return stack


@pytest.fixture(scope="module")
def finished(initialised: Environment, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The file published twice, the service killed while it holds the end of the first time, then one refresh."""
    folder = tmp_path_factory.mktemp("end_to_end")
    environment = {**initialised, "DAGSTER_HOME": str(folder)}
    with gzip.open(file) as lines:
        events = [json.loads(line) for line in lines]
    raw = Table(environment, "_e.post_log_events")
    assert len(events) % _BATCH
    with service(
        environment, folder, GCC_FLUSH_ROWS=str(_BATCH), GCC_LINGER_SECONDS="60", GCC_FLUSH_SECONDS="60"
    ) as running:
        running.wait_ready()
        _publish(environment, file, len(events))
        eventually(lambda: running.status("post_log")["received"] == len(events), 120)
        assert running.status("post_log")["in_flight"] > 0
        running.kill()
        running.restart(GCC_FLUSH_SECONDS="3", GCC_LINGER_SECONDS="3")
        _publish(environment, file, len(events))
        running.wait_ready()
        eventually(lambda: _settled(running.status("post_log"), len(events)), 120, "everything has landed")
        redelivered = running.status("post_log")["redelivered"]
        assert running.terminate() == 0
    assert raw.count() == len(events)
    refreshed = subprocess.run(
        [Path(sys.executable).with_name("gcc-platform"), "refresh"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Run(environment, events, redelivered, refreshed)


def _publish(environment: Environment, file: Path, count: int) -> None:
    done = run(environment, "publish", "post_log", str(file))
    assert done.stdout.decode() == f"{count} events confirmed\n", done.stderr.decode()


def _settled(status: dict[str, Any], at_least: int) -> bool:
    return status["received"] >= at_least and status["in_flight"] == 0


def test_the_refresh_succeeds_with_every_check(finished: Run) -> None:
    assert finished.refresh.returncode == 0, finished.refresh.stdout + finished.refresh.stderr


def test_every_event_is_in_the_raw_table_once_although_it_came_twice_and_the_service_was_killed(finished: Run) -> None:
    stored = query(
        finished.environment["CLICKHOUSE_URL"],
        "SELECT event_id, metrics, dimensions FROM _e.post_log_events FINAL FORMAT JSONEachRow",
    )
    rows = [json.loads(line) for line in stored.splitlines()]
    assert {row["event_id"]: (json.loads(row["metrics"]), json.loads(row["dimensions"])) for row in rows} == {
        event["event_id"]: (event["metrics"], event["dimensions"]) for event in finished.events
    }
    assert finished.redelivered > 0


def test_every_day_of_every_post_is_in_postgresql_with_the_values_plain_python_computes(finished: Run) -> None:
    rows = finished.served("mart_post_timeseries")
    assert {tuple(row[name] for name in oracle.POST_KEY): row for row in rows} == oracle.post_timeseries(
        finished.events
    )
    assert len(rows) == len(oracle.post_timeseries(finished.events))


def test_the_leaderboard_in_postgresql_is_the_one_plain_python_computes(finished: Run) -> None:
    rows = finished.served("mart_leaderboard")
    expected = oracle.leaderboard(finished.events)
    assert sorted(rows, key=_place) == expected
    views = [event["metrics"]["views"] for event in finished.events if event["metrics"].get("views") is not None]
    [first] = [row for row in rows if row["leaderboard"] == "posts_by_views" and row["rank"] == 1]
    assert first["value"] <= max(views)


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in oracle.LEADERBOARD_KEY)


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} IS ABSENT: the numbers of the real file cannot be checked")
def test_the_real_file_gives_the_numbers_that_are_known_of_it(finished: Run) -> None:
    rows = finished.served("mart_post_timeseries")
    days = {row["date"] for row in rows}
    assert len(finished.events) == 37_352
    assert len(rows) == 32_706
    assert (min(days), max(days), len(days)) == (date(2017, 11, 14), date(2018, 6, 14), 205)
    assert len({row["profile_id"] for row in rows}) == 1_426
    assert len({(row["profile_id"], row["shortcode"]) for row in rows}) == 16_479
