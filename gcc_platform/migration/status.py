"""Where the migration stands: what the command, the gates and Dagster show, from the state alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.phases.required import REQUIRED
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.series_tables import SERIES_TABLES

_RATE_MINUTES = 5


@dataclass(frozen=True)
class TableStatus:
    """One old table."""

    table: str
    chunks: int
    """Of the backfill; and of the rows that the tail has taken, once they were checked."""
    done: int
    sealed: int
    failed: int
    rows: int
    """Of the chunks that are done: ClickHouse has confirmed them."""
    rows_per_second: float
    """Over the last five minutes in which chunks were done."""
    ids_done: int
    ids_left: int
    error: str | None
    """Of a chunk that failed."""
    rejected: int
    """Rows that can be no events, of which nobody has noted what became of them."""
    tail_rows: int
    """Rows that the tail has taken."""
    tail_moved_at: datetime
    slot_wal_bytes: int | None
    """WAL that the old server keeps for the tail's slot; None without one."""
    gaps: int
    """Ids that may still be committed."""
    oldest_gap_seconds: float | None
    open_differences: Mapping[str, int]
    """By kind and cause."""
    phase: str = "legacy"
    reverse_rows: int | None = None
    """Rows that the reverse writer has written; None if it has not run."""
    reverse_lag_seconds: float | None = None
    """Since it looked last."""
    tail_lag_seconds: float | None = None
    """Since the tail looked last."""
    red_gates: Sequence[str] = ()
    """Those whose newest result is red, by name; not every phase needs each of them."""

    @property
    def is_series(self) -> bool:
        """Whether it is a table of series: it has neither a tail nor phases."""
        return self.table in SERIES_TABLES

    @property
    def broken_gates(self) -> Sequence[str]:
        """The red gates that the table had to pass to be where it is."""
        return [gate for gate in REQUIRED[Phase(self.phase)] if gate in self.red_gates]

    @property
    def closed_gates(self) -> Sequence[str]:
        """The red gates that keep the table from its next phase."""
        following = Phase(self.phase).next
        return [gate for gate in REQUIRED[following] if gate in self.red_gates] if following else []

    @property
    def is_backfilled(self) -> bool:
        """Whether all chunks are done."""
        return self.done == self.chunks

    @property
    def seconds_left(self) -> float | None:
        """Until the backfill is done, at its rate; None if nothing is left, or nothing was done lately."""
        rows_left = self.ids_left * self.rows / max(1, self.ids_done)
        return rows_left / self.rows_per_second if self.ids_left and self.rows_per_second else None


_QUERY = """
SELECT tail.legacy_table AS table,
    count(first_id) AS chunks,
    count(*) FILTER (WHERE state = 'done') AS done,
    count(sealed_at) AS sealed,
    count(*) FILTER (WHERE state = 'failed') AS failed,
    coalesce(sum(rows_written) FILTER (WHERE state = 'done'), 0)::bigint AS rows,
    coalesce(sum(rows_written) FILTER (WHERE recent) / extract(epoch FROM greatest(
        max(finished_at) FILTER (WHERE recent) - min(started_at) FILTER (WHERE recent), interval '1 second')),
        0)::double precision AS rows_per_second,
    coalesce(sum(last_id - first_id + 1) FILTER (WHERE state <> 'done'), 0)::bigint AS ids_left,
    coalesce(sum(last_id - first_id + 1) FILTER (WHERE state = 'done'), 0)::bigint AS ids_done,
    min(error) FILTER (WHERE state = 'failed') AS error,
    (SELECT count(*) FROM migration.rejected
     WHERE legacy_table = tail.legacy_table AND resolved_at IS NULL) AS rejected,
    tail.rows AS tail_rows,
    tail.moved_at AS tail_moved_at,
    tail.slot_wal_bytes AS slot_wal_bytes,
    (SELECT coalesce(sum(last_id - first_id + 1), 0)::bigint FROM migration.gaps
     WHERE legacy_table = tail.legacy_table) AS gaps,
    (SELECT extract(epoch FROM now() - min(seen_at))::double precision FROM migration.gaps
     WHERE legacy_table = tail.legacy_table AND tail.slot_wal_bytes IS NULL) AS oldest_gap_seconds,
    (SELECT coalesce(jsonb_object_agg(what, n), '{}') FROM (
        SELECT concat_ws(': ', kind, cause) AS what, count(*) AS n FROM migration.differences
        WHERE legacy_table = tail.legacy_table AND resolved_at IS NULL GROUP BY 1) AS found) AS open_differences,
    coalesce((SELECT phase FROM migration.phases WHERE legacy_table = tail.legacy_table
        ORDER BY entered_at DESC LIMIT 1), 'legacy') AS phase,
    (SELECT rows_written FROM migration.reverse WHERE legacy_table = tail.legacy_table) AS reverse_rows,
    (SELECT extract(epoch FROM now() - moved_at)::double precision FROM migration.reverse
     WHERE legacy_table = tail.legacy_table) AS reverse_lag_seconds,
    extract(epoch FROM now() - tail.looked_at)::double precision AS tail_lag_seconds,
    ARRAY(SELECT gate FROM (SELECT DISTINCT ON (gate) gate, passed FROM migration.gate_results
        WHERE legacy_table = tail.legacy_table ORDER BY gate, at DESC) AS newest
        WHERE NOT passed ORDER BY gate) AS red_gates
FROM migration.tail LEFT JOIN (
    SELECT *, coalesce(state = 'done' AND finished_at > now() - make_interval(mins => %s), false) AS recent
    FROM migration.chunks) AS chunks ON chunks.legacy_table = tail.legacy_table
GROUP BY tail.legacy_table
"""


async def status(state: Connection) -> Sequence[TableStatus]:
    """Where each table stands whose backfill is planned, in the order of their numbers. Raises psycopg.Error."""
    async with state.cursor(row_factory=class_row(TableStatus)) as cursor:
        await cursor.execute(_QUERY, [_RATE_MINUTES])
        found = {each.table: each for each in await cursor.fetchall()}
    return [found[name] for name in (*LEGACY_TABLES, *SERIES_TABLES) if name in found]
