"""The same questions to the same events in both servers: which answers sooner, with cold and with warm caches."""

import time
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from string import Template

import psycopg

from tests.benchmarks import before
from tests.benchmarks.bench import Bench

_PROFILES = 50_000
_POSTS_EACH = 10
_DAYS = 90
_WARM_RUNS = 3
_PROFILE = "17841412345"
_SINCE = "2026-03-02 00:00:00"
"""30 days before the newest event."""

_EVENTS = f"""
SELECT
    reinterpretAsUUID(sipHash128(number)) AS event_id,
    if(number % 2, 'post_log', 'profile_log') AS type,
    'INSTAGRAM' AS platform,
    intDiv(number, 2) AS nth,
    nth % {_PROFILES} AS profile,
    intDiv(nth, {_PROFILES}) AS visit,
    toString(17841400000 + profile) AS profile_id,
    concat('creator_', toString(profile)) AS handle,
    toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalSecond(intDiv(number * {_DAYS * 86_400}, $count))
        AS event_timestamp,
    concat(toString(profile), '_', toString(visit % {_POSTS_EACH})) AS shortcode,
    100 + sipHash64(profile) % 2000000 AS base,
    base + visit * (sipHash64(profile, 'growth') % 500) AS audience,
    concat(
        '{{"', if(type = 'profile_log', 'followers', 'views'), '":', toString(audience),
        ',"likes":', toString(intDiv(audience, 12)), ',"comments":', toString(intDiv(audience, 300)),
        ',"avg_views":', toString(audience / 50), ',"reach":', toString(intDiv(audience, 2)), '}}'
    ) AS metrics,
    concat(
        '{{"category":"',
        ['Beauty', 'Comedy', 'Education', 'Fitness', 'Food', 'Gaming', 'Music', 'Travel'][1 + profile % 8],
        '","country":"', ['IN', 'US', 'BR', 'ID', 'GB'][1 + profile % 5],
        '","handle":"', handle, '","caption":"new one is out #today"}}'
    ) AS dimensions
FROM numbers($count)
"""
_INTO_RAW = {
    "profile_log": "event_id, platform, profile_id, handle, event_timestamp, metrics, dimensions",
    "post_log": "event_id, platform, profile_id, handle, event_timestamp, metrics, dimensions, shortcode",
}


@dataclass(frozen=True)
class Question:
    """One question in both dialects; the answers must be equal."""

    name: str
    clickhouse: str
    postgres: str
    without_index: bool = False


_ONE = f"platform = 'INSTAGRAM' AND profile_id = '{_PROFILE}' AND event_timestamp >= '{_SINCE}'"
_POSTGRES_GROWTH = """
    (array_agg((metrics->>'followers')::bigint ORDER BY event_timestamp DESC))[1]
    - (array_agg((metrics->>'followers')::bigint ORDER BY event_timestamp))[1]
"""
_CLICKHOUSE_GROWTH = "argMax(followers, event_timestamp) - argMin(followers, event_timestamp)"
_POSTGRES_ONE = f"SELECT {_POSTGRES_GROWTH} FROM serving_data.event_log WHERE type = 'profile_log' AND {_ONE}"
_CLICKHOUSE_ONE = f"SELECT {_CLICKHOUSE_GROWTH} FROM _e.profile_log_events WHERE {_ONE}"
_POSTGRES_ALL = f"""
    SELECT profile_id, {_POSTGRES_GROWTH} AS growth FROM serving_data.event_log
    WHERE type = 'profile_log' AND event_timestamp >= '{_SINCE}' GROUP BY platform, profile_id
"""
_CLICKHOUSE_ALL = f"""
    SELECT profile_id, {_CLICKHOUSE_GROWTH} AS growth FROM _e.profile_log_events
    WHERE event_timestamp >= '{_SINCE}' GROUP BY platform, profile_id
"""
QUESTIONS = (
    Question("30-day growth of one profile, over the index", _CLICKHOUSE_ONE, _POSTGRES_ONE),
    Question("30-day growth of one profile, PostgreSQL without an index", _CLICKHOUSE_ONE, _POSTGRES_ONE, True),
    Question(
        "30-day growth of all profiles",
        f"SELECT count(), sum(growth) FROM ({_CLICKHOUSE_ALL})",
        f"SELECT count(*), sum(growth) FROM ({_POSTGRES_ALL}) AS grown",
    ),
    Question(
        "top 100 by 30-day growth",
        f"SELECT profile_id, growth FROM ({_CLICKHOUSE_ALL}) ORDER BY growth DESC, profile_id LIMIT 100",
        f"""
            SELECT profile_id, growth FROM ({_POSTGRES_ALL}) AS grown
            ORDER BY growth DESC, profile_id COLLATE "C" LIMIT 100
        """,
    ),
    Question(
        "engagement by category, 30 days",
        f"""
            SELECT
                JSONExtractString(dimensions, 'category') AS category, count(), sum(likes) + sum(comments), sum(views)
            FROM _e.post_log_events WHERE event_timestamp >= '{_SINCE}' GROUP BY category ORDER BY category
        """,
        f"""
            SELECT dimensions->>'category' AS category, count(*),
                sum((metrics->>'likes')::bigint) + sum((metrics->>'comments')::bigint), sum((metrics->>'views')::bigint)
            FROM serving_data.event_log WHERE type = 'post_log' AND event_timestamp >= '{_SINCE}'
            GROUP BY dimensions->>'category' ORDER BY (dimensions->>'category') COLLATE "C"
        """,
    ),
    Question(
        "newest value of every post",
        """
            SELECT count(), sum(newest) FROM (
                SELECT argMax(views, event_timestamp) AS newest FROM _e.post_log_events
                GROUP BY platform, profile_id, shortcode
            )
        """,
        """
            SELECT count(*), sum(newest) FROM (
                SELECT DISTINCT ON (platform, profile_id, rest->>'shortcode') (metrics->>'views')::bigint AS newest
                FROM serving_data.event_log WHERE type = 'post_log'
                ORDER BY platform, profile_id, rest->>'shortcode', event_timestamp DESC
            ) AS posts
        """,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """Seconds of one question in each server: from cold, and the median of some runs after it."""

    postgres_cold: float
    postgres_warm: float
    clickhouse_cold: float
    clickhouse_warm: float


class Unequal(Exception):
    """The two servers do not answer alike, so comparing their times would mean nothing."""


def load(bench: Bench, count: int) -> None:
    """The same events into both, in the order of their times."""
    bench.empty()
    for name, columns in _INTO_RAW.items():
        bench.sql(
            f"INSERT INTO _e.{name}_events (source, {columns}) SELECT 'graphapi', {columns} FROM ({_events(count)}) "
            f"WHERE type = '{name}'"
        )
    with psycopg.connect(bench.environment["POSTGRES_URL"], autocommit=True) as connection:
        connection.execute(before.TABLE)
        connection.execute(before.INDEX)
        with connection.cursor().copy(f"COPY serving_data.event_log ({before.COLUMNS}) FROM STDIN") as copy:
            for part in _exported(bench, count):
                copy.write(part)
        connection.execute("VACUUM ANALYZE serving_data.event_log")
    bench.wait_merged()


def ask(bench: Bench, question: Question) -> Answered:
    """Both servers, one after the other. Raises Unequal."""
    bench.cool("PostgreSQL")
    theirs, postgres = _ask_postgres(bench, question)
    bench.cool("ClickHouse")
    ours, clickhouse = _ask_clickhouse(bench, question)
    if ours != theirs:
        raise Unequal(f"{question.name}: {ours[:3]} and {theirs[:3]}")
    return Answered(postgres[0], median(postgres[1:]), clickhouse[0], median(clickhouse[1:]))


def forget(bench: Bench) -> None:
    """Take it all away."""
    with psycopg.connect(bench.environment["POSTGRES_URL"], autocommit=True) as connection:
        connection.execute("DROP TABLE serving_data.event_log")
    bench.empty()


def _ask_postgres(bench: Bench, question: Question) -> tuple[list[list[str]], list[float]]:
    seconds = []
    with psycopg.connect(bench.environment["POSTGRES_URL"], autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'")
        if question.without_index:
            connection.execute("SET enable_indexscan = off")
            connection.execute("SET enable_bitmapscan = off")
        for _ in range(1 + _WARM_RUNS):
            began = time.perf_counter()
            rows = connection.execute(question.postgres).fetchall()  # type: ignore[call-overload]
            seconds.append(time.perf_counter() - began)
    return [["\\N" if value is None else str(value) for value in row] for row in rows], seconds


def _ask_clickhouse(bench: Bench, question: Question) -> tuple[list[list[str]], list[float]]:
    seconds = []
    for _ in range(1 + _WARM_RUNS):
        began = time.perf_counter()
        answer = bench.sql(question.clickhouse)
        seconds.append(time.perf_counter() - began)
    return [line.split("\t") for line in answer.splitlines()], seconds


def _events(count: int) -> str:
    return Template(_EVENTS).substitute(count=count)


def _exported(bench: Bench, count: int) -> Iterator[bytes]:
    """Rows of the log table, as COPY reads them: ClickHouse's TabSeparated is its text format."""
    select = (
        "SELECT event_id, type, platform, profile_id, event_timestamp, metrics, dimensions, "
        """concat('{"source":"graphapi","handle":"', handle, '","shortcode":"', shortcode, '"}') """
        f"FROM ({_events(count)}) SETTINGS max_threads = 1"
    )
    parts = urllib.parse.urlsplit(bench.environment["CLICKHOUSE_URL"])
    login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}/", select.encode(), {"Authorization": f"Basic {login}"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        while part := answer.read(1 << 20):
            yield part
