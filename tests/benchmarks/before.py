"""The "before": every event written by itself, as one transaction, into a PostgreSQL log table with its index."""

import asyncio
import json
import time
from itertools import cycle, islice

import psycopg

from tests.benchmarks.bench import Bench
from tests.benchmarks.drain import Drained
from tests.benchmarks.events import mixed
from tests.benchmarks.processes import Meter

TABLE = """
CREATE TABLE IF NOT EXISTS serving_data.event_log (
    id bigserial PRIMARY KEY,
    event_id uuid NOT NULL,
    type text NOT NULL,
    platform text NOT NULL,
    profile_id text,
    event_timestamp timestamptz NOT NULL,
    metrics jsonb NOT NULL,
    dimensions jsonb NOT NULL,
    rest jsonb NOT NULL
)
"""
INDEX = "CREATE INDEX IF NOT EXISTS event_log_profile ON serving_data.event_log (platform, profile_id, event_timestamp)"
COLUMNS = "event_id, type, platform, profile_id, event_timestamp, metrics, dimensions, rest"
_INSERT = f"INSERT INTO serving_data.event_log ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
Row = tuple[object, ...]


def row(name: str, body: bytes) -> Row:
    """An event as the columns of the log table."""
    event = json.loads(body)
    keys = ("event_id", "platform", "profile_id", "event_timestamp")
    event_id, platform, profile_id, moment = (event.pop(key, None) for key in keys)
    metrics, dimensions = (json.dumps(event.pop(key, {})) for key in ("metrics", "dimensions"))
    return event_id, name, platform, profile_id, moment, metrics, dimensions, json.dumps(event)


def one_by_one(bench: Bench, connections: int, seconds: float) -> Drained:
    """As many connections as that, each inserting and committing without a pause."""
    return asyncio.run(_insert(bench, connections, seconds))


async def _insert(bench: Bench, connections: int, seconds: float) -> Drained:
    rows = cycle([row(*event) for event in mixed(20_000)])
    url = bench.environment["POSTGRES_URL"]
    open_ = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(connections)]
    await open_[0].execute(TABLE)
    await open_[0].execute(INDEX)
    meter, began = Meter({"PostgreSQL": bench.pids["PostgreSQL"]}), time.monotonic()
    own = time.process_time()

    async def insert(connection: psycopg.AsyncConnection) -> int:
        count = 0
        while time.monotonic() - began < seconds:
            await connection.execute(_INSERT, next(rows), prepare=True)
            count += 1
        return count

    counts = await asyncio.gather(*map(insert, open_))
    took, cpu = time.monotonic() - began, {**meter.seconds(), "client": time.process_time() - own}
    await open_[0].execute("DROP TABLE serving_data.event_log")
    for connection in open_:
        await connection.close()
    return Drained(sum(counts), took, cpu)


def bytes_of(bench: Bench, count: int) -> int:
    """What the table and its indexes take for so many events."""
    with psycopg.connect(bench.environment["POSTGRES_URL"], autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(INDEX)
        with connection.cursor().copy(f"COPY serving_data.event_log ({COLUMNS}) FROM STDIN") as copy:
            for name, body in islice(mixed(count), count):
                copy.write_row(row(name, body))
        connection.execute("VACUUM ANALYZE serving_data.event_log")
        found = connection.execute("SELECT pg_total_relation_size('serving_data.event_log')").fetchone()
        connection.execute("DROP TABLE serving_data.event_log")
    assert found is not None
    return int(found[0])
