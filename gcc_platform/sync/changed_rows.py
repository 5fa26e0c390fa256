"""Brings a served table up to date with the rows that changed in ClickHouse: upserts these, and deletes what vanished.

Rows inserted since the last sync are found by their block numbers. Nothing shows deletes, so they are counted: the rows
that were served, plus those just inserted, less those that ClickHouse has, have vanished. They are searched by key, in
the key ranges whose numbers differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync import copying, joined, key_ranges, source, state, upserting
from gcc_platform.sync.checksums.checksum import sum_in_clickhouse, sum_in_postgres
from gcc_platform.sync.ends import Ends, Found
from gcc_platform.sync.key_ranges import KeyRanges
from gcc_platform.sync.state import State
from gcc_platform.sync.upserting import Changes, Target


class CountsDisagree(Exception):
    """The numbers of rows, or the rows, do not add up: the mart changed during the sync, or the state is wrong."""


@dataclass(frozen=True)
class Upserted:
    """The result."""

    state: State
    changes: Changes
    sent_bytes: int


def apply(ends: Ends, found: Found, before: State, run_id: str) -> Upserted:
    """Upsert and delete in one transaction. Raises CountsDisagree, and then nothing has changed; GrainBroken."""
    condition = source.inserted_since(before.watermarks, found.rows.watermarks)
    with joined.transaction(ends.postgres):
        target = Target(
            found.mart,
            before.table_name,
            found.columns,
            key_ranges.read(ends.postgres, before.table_name, found.columns),
        )
        changes, sent = _upserted(ends, found, target, condition)
        changes, sent = _without_vanished(ends, found, before, target, changes, sent)
        after = _state(ends, found, before, changes, run_id)
        state.record(ends.postgres, found.mart.name, after)
        key_ranges.record(ends.postgres, before.table_name, changes.applied_to(target.ranges))
    return Upserted(after, changes, sent)


def _upserted(ends: Ends, found: Found, target: Target, condition: str) -> tuple[Changes, int]:
    if not condition:
        return Changes(), 0
    changed = upserting.create_temporary(ends.postgres, "changed", found.columns)
    order = [quoted(name) for name in found.mart.grain]
    sent = copying.copy(
        ends.rows,
        copying.select(found.mart.source, found.columns, condition, order),
        ends.postgres,
        changed,
        found.columns,
    )
    changes = upserting.upsert(ends.postgres, target, changed)
    _compare(ends, found, target, condition, changed)
    return changes, sent.size


def _compare(ends: Ends, found: Found, target: Target, condition: str, changed: sql.Identifier) -> None:
    """Compare the rows that were sent with those that are in the table now, by checksum."""
    there = sum_in_clickhouse(ends.clickhouse, found.columns, f"FROM {found.mart.source} WHERE {condition}")
    joined_rows = sql.SQL("FROM {} JOIN {} AS t USING ({})").format(changed, target.relation, target.grain)
    here = sum_in_postgres(ends.postgres, found.columns, joined_rows)
    if here != there:
        raise CountsDisagree(
            f"{there[0]} rows were inserted since the last sync, with the checksum {there[1]}; "
            f"PostgreSQL has {here[0]} of them, with {here[1]}"
        )


def _without_vanished(
    ends: Ends, found: Found, before: State, target: Target, changes: Changes, sent: int
) -> tuple[Changes, int]:
    """Delete the rows that ClickHouse no longer has."""
    inserted = sum(changes.inserted.values())
    vanished = before.rows + inserted - found.rows.count
    if vanished < 0:
        raise CountsDisagree(
            f"{before.rows} rows were served and {inserted} inserted, which is {-vanished} less than ClickHouse has"
        )
    if vanished == 0:
        return changes, sent
    numbers = _ranges_with_fewer_rows(ends, found, changes.applied_to(target.ranges))
    grain = [column for column in found.columns if column.name in found.mart.grain]
    keys = upserting.create_temporary(ends.postgres, "keys", grain)
    condition = " OR ".join(f"({target.ranges.in_clickhouse(number)})" for number in numbers)
    copied = copying.copy(ends.rows, copying.select(found.mart.source, grain, condition), ends.postgres, keys, grain)
    deleted = upserting.delete_missing(ends.postgres, target, keys, numbers)
    if sum(deleted.deleted.values()) != vanished:
        raise CountsDisagree(f"{vanished} rows have vanished, and {sum(deleted.deleted.values())} were found by key")
    return changes.plus(deleted), sent + copied.size


def _ranges_with_fewer_rows(ends: Ends, found: Found, served: KeyRanges) -> Sequence[int]:
    counts = {
        int(number): int(count)
        for number, count in ends.clickhouse.rows(
            f"SELECT {served.number_in_clickhouse()} AS number, count() FROM {found.mart.source} "  # noqa: S608
            "GROUP BY number"
        )
    }
    fewer = [each.number for each in served.ranges if counts.get(each.number, 0) < each.rows]
    more = [each.number for each in served.ranges if counts.get(each.number, 0) > each.rows]
    if more or not fewer:
        raise CountsDisagree(f"key ranges {more} have more rows in ClickHouse than inserts explain")
    return fewer


def _state(ends: Ends, found: Found, before: State, changes: Changes, run_id: str) -> State:
    inserted, _, deleted = changes.counts
    return replace(
        before,
        rows=before.rows + inserted - deleted,
        source_parts=found.table.parts,
        watermarks=found.rows.watermarks,
        changed_in_place=found.table.changed_in_place,
        written_by=state.this_transaction(ends.postgres),
        writes=changes.added_to(before.writes),
        mode="changed rows",
        run_id=run_id,
    )
