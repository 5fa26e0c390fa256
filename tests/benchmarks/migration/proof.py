"""Whether every old row is in its raw table once, or has a reason; and what both sides take on disk."""

from collections.abc import Callable, Mapping

import msgspec
import psycopg

from gcc_platform.migration import identity
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from tests.benchmarks.migration.progress import Reader
from tests.benchmarks.migration.servers import Servers
from tests.benchmarks.migration.workers import Finished, run


class Proof(msgspec.Struct, frozen=True):
    """What is there at the end."""

    rows: int
    """In the old tables; those of the queue of work that are final."""
    rejected: dict[str, int]
    """By reason."""
    distinct: int
    """event_ids in ClickHouse."""
    once: int
    """Rows in ClickHouse, copies of a row once."""
    sealed: int
    chunks: int
    code: int
    """Of `check`."""
    said: str
    postgres_bytes: int
    """Of the old tables with their indexes."""
    clickhouse_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, double or different."""
        return (
            self.rows - sum(self.rejected.values()) == self.distinct == self.once
            and self.sealed == self.chunks
            and self.code == 0
        )


def prove(servers: Servers, chunk_rows: int, say: Callable[[str], None]) -> tuple[Proof, Finished]:
    """Count both sides, by themselves; and let `check` do it in its way."""
    taken = run(servers, chunk_rows, "tail", "--once")
    assert taken.code == 0, taken.output
    checked = run(servers, chunk_rows, "check", "--days", "0")
    say(checked.output)
    servers.wait_merged()
    state = Reader(servers)
    rejected = {str(reason): int(str(n)) for reason, n in state.rows(
        "SELECT reason, count(*) FROM migration.rejected GROUP BY 1 ORDER BY 1"
    )}  # fmt: skip
    ((sealed, chunks),) = state.rows("SELECT count(sealed_at), count(*) FROM migration.chunks")
    distinct, once = _in_clickhouse(servers)
    postgres_rows, postgres_bytes = _in_postgres(servers)
    clickhouse_bytes = int(servers.sql(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '_e' AND table LIKE '%_log_events'"
    ))  # fmt: skip
    found = Proof(
        postgres_rows, rejected, distinct, once, int(str(sealed)), int(str(chunks)), checked.code, checked.output,
        postgres_bytes, clickhouse_bytes,
    )  # fmt: skip
    say(f"  {'whole' if found.is_whole else 'NOT WHOLE'}: {found}")
    return found, checked


def _in_clickhouse(servers: Servers) -> tuple[int, int]:
    counts = [
        servers.sql(
            f"SELECT uniqExact(event_id), count() FROM {table.raw_table} FINAL WHERE {identity.MADE} FORMAT TSV"
        ).split("\t")
        for table in LEGACY_TABLES.values()
    ]
    return sum(int(distinct) for distinct, _ in counts), sum(int(once) for _, once in counts)


def _in_postgres(servers: Servers) -> tuple[int, int]:
    rows = size = 0
    with psycopg.connect(servers.old_url, autocommit=True) as connection:
        for table in LEGACY_TABLES.values():
            query = f"SELECT count(*), pg_total_relation_size('{table.name}') FROM {table.name} AS r"
            found = connection.execute(f"{query} WHERE {table.complete or 'true'}".encode()).fetchone()
            assert found is not None
            rows, size = rows + found[0], size + found[1]
    return rows, size


def causes(rejected: Mapping[str, int]) -> str:
    """The reasons as text."""
    return ", ".join(f"{count} {reason}" for reason, count in rejected.items()) or "none"
