"""What the service's inserts are to ClickHouse: their number, the parts they make, the CPU of inserts and of merges."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks import drain, latency
from tests.benchmarks.bench import DEFAULT_TIMERS, Bench

_TABLES = "database = '_e'"
_CPU = "(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1e6"


@dataclass(frozen=True)
class Inserted:
    """Of a number of events; CPU in seconds."""

    events: int
    inserts: int
    parts: int
    """Made by these inserts, the ledger's included."""
    merges: int
    insert_cpu: float
    merge_cpu: float


def while_draining(bench: Bench, count: int) -> Inserted:
    """Full queues: the largest batches."""
    return _measured(bench, count, lambda: drain.by_service(bench, count))


def at_rate(bench: Bench, rate: int, seconds: int) -> Inserted:
    """A steady trickle with the default timers: the smallest batches."""
    return _measured(bench, rate * seconds, lambda: latency.measure(bench, rate, seconds, **DEFAULT_TIMERS))


def _measured(bench: Bench, events: int, work: Callable[[], object]) -> Inserted:
    _at_rest(bench)
    began = bench.sql("SELECT now64(6)").strip()
    work()
    _at_rest(bench)
    logged = f"event_time_microseconds >= '{began}'"
    inserts, insert_cpu = _row(
        bench,
        f"SELECT count(), sum({_CPU}) FROM system.query_log WHERE {logged} AND type = 'QueryFinish' "
        "AND query_kind = 'Insert' AND JSONExtractString(log_comment, 'service') = 'gcc-ingest'",
    )
    parts, merges, merge_cpu = _row(
        bench,
        f"SELECT countIf(event_type = 'NewPart'), countIf(event_type = 'MergeParts'), "
        f"sumIf({_CPU}, event_type = 'MergeParts') FROM system.part_log WHERE {logged} AND {_TABLES}",
    )
    return Inserted(events, int(inserts), int(parts), int(merges), insert_cpu, merge_cpu)


def _row(bench: Bench, statement: str) -> list[float]:
    row: list[float] = json.loads(bench.sql(f"{statement} FORMAT JSONCompactEachRow"))
    return row


def _at_rest(bench: Bench) -> None:
    """Nothing is being merged, and what was is in the logs, which are written every second."""
    time.sleep(2)
    bench.wait_merged()
    time.sleep(2)
