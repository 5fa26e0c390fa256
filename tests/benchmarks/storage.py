"""Bytes per event on disk, of the same events in both servers."""

from dataclasses import dataclass

from tests.benchmarks import before, drain
from tests.benchmarks.bench import Bench
from tests.benchmarks.events import TABLES


@dataclass(frozen=True)
class Stored:
    """Bytes per event."""

    events: int
    postgres: float
    clickhouse: float
    clickhouse_merged: float


def measure(bench: Bench, count: int) -> Stored:
    """PostgreSQL with its indexes; ClickHouse as inserted, and merged into one part a partition."""
    postgres = before.bytes_of(bench, count)
    drain.by_clickhouse_alone(bench, count)
    inserted = _clickhouse_bytes(bench)
    for table in TABLES:
        bench.sql(f"OPTIMIZE TABLE {table} FINAL")
    return Stored(count, postgres / count, inserted / count, _clickhouse_bytes(bench) / count)


def _clickhouse_bytes(bench: Bench) -> int:
    names = ", ".join(f"'{table.partition('.')[2]}'" for table in TABLES)
    return int(
        bench.sql(
            f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '_e' AND table IN ({names})"
        )
    )
