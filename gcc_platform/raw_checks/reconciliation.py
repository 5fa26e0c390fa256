"""Reconciliation: the rows that landed by the ledger, compared with those that the raw table has of the same inserts.

The ledger is written by the server in the insert itself, and merges do not change it. The table has fewer rows than
that when an event landed twice, redelivered or published twice: the later row replaces the earlier one. The ledger has
no ids, so fewer rows alone are no fault; that rows were deleted or changed is known from the table's mutations, and
from a table that has none of the rows left.

The window ended two minutes ago, so that its inserts are complete. A row's insert_timestamp is earlier than its
insert's landed_at, by the time that the insert took: at the ends of the window an insert can stand on either side. So
the table is counted twice: the rows that must belong to the window, and those that may.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse, quoted

WINDOW = timedelta(hours=1)
_COMPLETE_AFTER = timedelta(minutes=2)
_LONGEST_INSERT = timedelta(seconds=10)
"""From the time that a block of rows is parsed to the time that its line in the ledger is: normally milliseconds."""

# A message may be redelivered after the window, and then its row is one of a later time. An insert whose rows were
# durable when ClickHouse stopped gets its line when it is retried, perhaps minutes later.
_LEDGER = """
SELECT type,
    sumIf(rows, landed_at < {until:DateTime64(3, 'UTC')}) AS landed,
    sumIf(rows, batch = '' AND landed_at < {until:DateTime64(3, 'UTC')}) AS beside,
    sum(redelivered) AS redelivered,
    countIf(landed_at < {until:DateTime64(3, 'UTC')}) AS inserts,
    sumIf(rows, attempts > 1 AND (last_received < {since:DateTime64(3, 'UTC')}
        OR (last_received < {until:DateTime64(3, 'UTC')} AND landed_at >= {until:DateTime64(3, 'UTC')}))) AS straddling
FROM _e.ingest_batches WHERE landed_at >= {since:DateTime64(3, 'UTC')} GROUP BY type
"""
_LEDGER_NUMBERS = ("landed", "beside", "redelivered", "inserts", "straddling")

# Nothing of ours deletes or changes rows: a TTL drops them without a mutation, and inserts replace them by merging.
_MUTATIONS = """
SELECT table, count() FROM system.mutations
WHERE database = '_e' AND create_time >= {since:DateTime64(3, 'UTC')} AND match(command, '^\\\\(?(DELETE|UPDATE) ')
GROUP BY table
"""


@dataclass(frozen=True)
class Reconciled:
    """The rows of one table in the window."""

    since: datetime
    until: datetime
    landed: int = 0
    """By the ledger, including those that repeat an event."""
    beside: int = 0
    """Of these, the rows of inserts without a batch's id: the service did not send them."""
    redelivered: int = 0
    """Messages redelivered since the window began: each may have replaced a row."""
    inserts: int = 0
    straddling: int = 0
    """Rows of retried inserts that began before an end of the window, and landed by the ledger after it."""
    least: int = 0
    """Rows of the table that must have landed in the window,"""
    most: int = 0
    """and those that may."""
    mutations: int = 0
    """Statements that deleted or changed rows, since the window began."""

    @property
    def missing(self) -> int:
        """Landed rows that the table does not have: repeated, or deleted."""
        return max(0, self.landed - self.most)

    @property
    def surplus(self) -> int:
        """Rows of the table that the ledger does not have."""
        return max(0, self.least - self.landed - self.straddling)

    @property
    def is_emptied(self) -> bool:
        """Whether the table has none of the rows, for no reason that the ledger knows."""
        return not self.most and self.landed > self.redelivered + self.straddling


def measure(clickhouse: ClickHouse, tables: Iterable[str], now: datetime) -> Mapping[str, Reconciled]:
    """Count the rows of the given tables (`post_log_events`), which must exist. `now` has a time zone.

    The table is counted before the ledger: a row that is replaced in between is redelivered by the ledger then.
    """
    until = now - _COMPLETE_AFTER
    since = until - WINDOW
    times = {"before": since - _LONGEST_INSERT, "since": since, "complete": until - _LONGEST_INSERT, "until": until}
    counted = _count(clickhouse, tables, times)
    ledger = {
        f"{name}_events": dict(zip(_LEDGER_NUMBERS, map(int, numbers), strict=True))
        for name, *numbers in clickhouse.rows(_LEDGER, {"since": since, "until": until})
    }
    mutations = {str(table): int(count) for table, count in clickhouse.rows(_MUTATIONS, {"since": since})}
    return {
        table: Reconciled(
            since, until, least=least, most=most, mutations=mutations.get(table, 0), **ledger.get(table, {})
        )
        for table, (least, most) in counted.items()
    }


def _count(
    clickhouse: ClickHouse, tables: Iterable[str], times: Mapping[str, datetime]
) -> Mapping[str, tuple[int, int]]:
    """The rows that must and that may belong to the window, from one query. The index `arrival` skips older parts."""
    queries = [
        f"SELECT '{table}', countIf(insert_timestamp >= {{since:DateTime64(3, 'UTC')}} "  # noqa: S608  the registry's
        "AND insert_timestamp < {complete:DateTime64(3, 'UTC')}), count() "
        f"FROM _e.{quoted(table)} WHERE insert_timestamp >= {{before:DateTime64(3, 'UTC')}} "
        "AND insert_timestamp < {until:DateTime64(3, 'UTC')}"
        for table in tables
    ]
    rows = clickhouse.rows(" UNION ALL ".join(queries), times) if queries else []
    return {str(table): (int(least), int(most)) for table, least, most in rows}


def check(found: Reconciled) -> Finding:
    """Fails if rows were deleted or changed by hand, or inserted by anything but the service."""
    window = f"{found.since:%H:%M} to {found.until:%H:%M} UTC"
    wrong = [
        text
        for count, text in (
            (found.mutations, f"{found.mutations} statements deleted or changed rows; {_missing(found)}"),
            (found.is_emptied and not found.mutations, "the table has none of them"),
            (found.beside, f"{found.beside} were not inserted by gcc-ingest"),
            (found.surplus, f"the table has {found.least}, {found.surplus} more"),
        )
        if count
    ]
    repeated = f"; {_missing(found)}: they repeat an event" if found.missing and not wrong else ""
    return Finding(
        "reconciled",
        not wrong,
        f"{found.landed} rows landed in {found.inserts} inserts from {window}{repeated}"
        + (f": {'; '.join(wrong)}" if wrong else ""),
        {
            "landed": found.landed,
            "in_table": found.most,
            "missing": found.missing,
            "redelivered": found.redelivered,
            "not_by_the_service": found.beside,
            "surplus": found.surplus,
            "mutations": found.mutations,
        },
    )


def _missing(found: Reconciled) -> str:
    return f"{found.missing} are not in the table, {found.redelivered} were redelivered"
