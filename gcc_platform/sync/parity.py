"""Compares a served table with its mart, one key range after the other, and repairs a range that differs.

Both servers compute the same checksum of every row. PostgreSQL also has the hash that a range had when it was last
compared, brought up to date with every change by a sync: if a range differs from the mart and still has that hash, the
sync is wrong, or the mart was changed without an insert; if it has another, somebody wrote to the table.

While the mart's table has the parts that it had when a range was last compared, that hash is enough.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync import copying, joined, key_ranges, state, upserting
from gcc_platform.sync.checksums.checksum import in_postgres, sum_in_clickhouse
from gcc_platform.sync.ends import Ends, Found
from gcc_platform.sync.key_ranges import KeyRange, KeyRanges
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.state import State
from gcc_platform.sync.upserting import Changes, Target

_HASHED = sql.SQL("coalesce(sum(hash_record_extended(t, 0)), 0)")


@dataclass(frozen=True)
class Difference:
    """A range that was not as in ClickHouse, and is now."""

    number: int
    cause: str
    changes: Changes
    """What was done to make it equal."""

    @property
    def description(self) -> str:
        """One sentence with the numbers and some keys."""
        inserted, updated, deleted = self.changes.counts
        counts = f"{inserted} rows were missing, {updated} had other values, {deleted} were not in the mart"
        keys = f", e.g. {'; '.join(self.changes.keys)}" if self.changes.keys else ""
        return f"key range {self.number}: {counts}{keys}: {self.cause}"


@dataclass(frozen=True)
class Compared:
    """The result of comparing some ranges."""

    ranges: int
    rows: int
    differences: Sequence[Difference] = ()
    seconds: float = 0.0


def compare(
    ends: Ends, found: Found, served: State, numbers: Sequence[int], *, trusts_hashes: bool = False
) -> Compared:
    """Compare some key ranges of a table with its mart, as it was just synced, and repair those that differ.

    With `trusts_hashes`, a range is not compared again with the parts that it was compared with before, if its hash in
    PostgreSQL is as it was then.
    """
    started, rows, differences = time.monotonic(), 0, []
    for number in numbers:
        ranges = key_ranges.read(ends.postgres, served.table_name, found.columns)
        if trusts_hashes and _is_as_compared(ends, found, served, ranges, number):
            rows += ranges.ranges[number].rows
            continue
        present, now = _in_postgres(ends, found, served, ranges, number)
        rows += present[0]
        if present == _in_clickhouse(ends, found, ranges, number):
            if now != ranges.ranges[number]:
                key_ranges.record_comparison(ends.postgres, served.table_name, now)
            continue
        differences.append(_repaired(ends, found, served, ranges, number, now.hash))
    return Compared(len(numbers), rows, differences, time.monotonic() - started)


def unlike_before(postgres: psycopg.Connection, table: str, ranges: KeyRanges) -> Sequence[int]:
    """The key ranges that have another hash than before, or never had one. Reads the table, in PostgreSQL alone."""
    rows = postgres.execute(
        sql.SQL("SELECT {}, sum(hash_record_extended(t, 0))::text FROM {} AS t GROUP BY 1").format(
            ranges.number_of("t"), sql.Identifier("serving_data", table)
        )
    ).fetchall()
    hashes = {int(number): str(hashed) for number, hashed in rows}
    return [each.number for each in ranges.ranges if hashes.get(each.number, "0") != each.hash]


def _is_as_compared(ends: Ends, found: Found, served: State, ranges: KeyRanges, number: int) -> bool:
    contents, known = found.table.contents, ranges.ranges[number]
    if not contents or known.compared_with != contents:
        return False
    return _counted_and_hashed(ends, served, ranges, number) == (known.rows, known.hash)


def _counted_and_hashed(ends: Ends, served: State, ranges: KeyRanges, number: int) -> tuple[int, str]:
    [(count, hashed)] = ends.postgres.execute(
        sql.SQL("SELECT count(*), {}::text FROM {} AS t WHERE {}").format(
            _HASHED, sql.Identifier("serving_data", served.table_name), ranges.in_postgres(number, "t")
        )
    ).fetchall()
    return int(count), str(hashed)


def _in_postgres(
    ends: Ends, found: Found, served: State, ranges: KeyRanges, number: int
) -> tuple[tuple[int, str], KeyRange]:
    """Number and checksum of the rows of a range, and the range as it is now."""
    [(count, checksum, hashed)] = ends.postgres.execute(
        sql.SQL(
            "SELECT count(*), coalesce(sum({checksum}), 0)::text, {hashed}::text FROM {table} AS t WHERE {in_range}"
        ).format(
            checksum=in_postgres(found.columns, "t"),
            hashed=_HASHED,
            table=sql.Identifier("serving_data", served.table_name),
            in_range=ranges.in_postgres(number, "t"),
        )
    ).fetchall()
    now = replace(ranges.ranges[number], hash=str(hashed), compared_with=found.table.contents)
    return (int(count), str(checksum)), now


def _in_clickhouse(ends: Ends, found: Found, ranges: KeyRanges, number: int) -> tuple[int, str]:
    rows = f"FROM {_mart(found.mart)} WHERE {ranges.in_clickhouse(number)}"
    return sum_in_clickhouse(ends.clickhouse, found.columns, rows)


def _repaired(ends: Ends, found: Found, served: State, ranges: KeyRanges, number: int, hashed: str) -> Difference:
    """Copy the range again, into a temporary table, and change the rows that differ."""
    known = ranges.ranges[number].hash
    cause = "it differs since the last full copy, or somebody wrote to it"
    if known:
        cause = "the sync is wrong, or the mart was changed in place" if known == hashed else "somebody wrote to it"
    mart, columns = found.mart, found.columns
    target = Target(mart, served.table_name, columns, ranges)
    with joined.transaction(ends.postgres):
        present = upserting.create_temporary(ends.postgres, "changed", columns)
        copying.copy(
            ends.rows,
            copying.select(_mart(mart), columns, ranges.in_clickhouse(number), [quoted(name) for name in mart.grain]),
            ends.postgres,
            present,
            columns,
        )
        changes = upserting.upsert(ends.postgres, target, present)
        changes = changes.plus(upserting.delete_missing(ends.postgres, target, present, [number]))
        _record(ends, mart, served, ranges, number, changes)
    return Difference(number, cause, changes)


def _record(ends: Ends, mart: Mart, served: State, ranges: KeyRanges, number: int, changes: Changes) -> None:
    """What is in the range now is counted and hashed: what it was before is not known."""
    rows, hashed = _counted_and_hashed(ends, served, ranges, number)
    repaired = ranges.with_hashes({number: hashed}).with_rows({number: rows - ranges.ranges[number].rows})
    key_ranges.record(ends.postgres, served.table_name, repaired)
    latest = state.present(ends.postgres, mart.name)
    state.record(
        ends.postgres,
        mart.name,
        replace(
            latest,
            rows=sum(each.rows for each in repaired.ranges),
            written_by=state.this_transaction(ends.postgres),
            writes=changes.added_to(latest.writes),
        ),
    )


def _mart(mart: Mart) -> str:
    """The mart itself, also if it is a view over the table that has its rows: the view could say otherwise."""
    return f"{quoted(mart.database)}.{quoted(mart.name)}"
