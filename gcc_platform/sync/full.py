"""Copies a mart in full, in two transactions: one builds a table that nobody reads, the other makes readers see it.

Readers query the view `serving.<mart>` over `serving_data.<mart>__<version>`. A table that could not be served, because
readers kept the view locked, waits in serving_data.builds: the next sync serves it without another copy, if the mart
has not changed meanwhile.
"""

from dataclasses import dataclass, replace
from zlib import crc32

import psycopg
from psycopg import sql

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync import copying, key_ranges, layout, state, versions, written_by_others
from gcc_platform.sync.checksums.checksum import sum_in_clickhouse, sum_in_postgres
from gcc_platform.sync.ends import Ends, Found
from gcc_platform.sync.key_ranges import KeyRange, KeyRanges
from gcc_platform.sync.state import State
from gcc_platform.sync.views import view
from ingest_service.errors import UserError

_COMPARED_ROWS = 1_000_000
"""A larger table is compared range by range, in the syncs after this one."""


class IncompleteCopy(UserError):
    """The rows that arrived are not those of the mart; what was served before stays."""


@dataclass(frozen=True)
class Built:
    """A table that is complete, and not yet served."""

    state: State
    sent_bytes: int


def build(ends: Ends, found: Found, version: str, run_id: str) -> Built:
    """Copy all rows into a new table, sorted by the grain. Raises IncompleteCopy and GrainBroken."""
    table = versions.table_name(found.mart.name, version)
    upserted = found.table.has_block_numbers and found.rows.count >= layout.UPSERTED
    with ends.postgres.transaction():
        layout.create(ends.postgres, table, found.columns, upserted=upserted)
        sent = _copy(ends, found, table)
        layout.index(ends.postgres, found.mart, table)
        if found.rows.count < _COMPARED_ROWS:
            _compare(ends, found, table)
        built = State(
            table_name=table,
            layout=found.layout,
            rows=sent.rows,
            source_uuid=found.table.uuid,
            source_parts=found.table.parts,
            fingerprint=found.rows.fingerprint,
            watermarks=found.rows.watermarks,
            changed_in_place=found.table.changed_in_place,
            written_by=state.this_transaction(ends.postgres),
            writes=(sent.rows, 0, 0, written_by_others.counted(ends.postgres, table)[3]),
            full_bytes=layout.size(ends.postgres, table),
            mode="full",
            run_id=run_id,
            next_range=_first_slot(found.mart.name),
        )
        key_ranges.record(ends.postgres, table, _ranges(ends.postgres, found, sent))
        state.record(ends.postgres, found.mart.name, built, "builds")
    return Built(built, sent.size)


def serve(postgres: psycopg.Connection, mart: str, built: State, retry: view.SwapRetry) -> view.Swapped:
    """Make readers see a built table, and drop what they saw before. Raises ViewBusy: the table then waits."""
    with postgres.transaction():
        before = state.read(postgres, mart)
        swapped = view.swap(postgres, mart, built.table_name, retry)
        state.record(postgres, mart, _continued(built, before))
        state.forget(postgres, mart, "builds")
    versions.drop_old_versions(postgres, mart)
    return swapped


def _continued(built: State, before: State | None) -> State:
    """The comparison of ranges goes on where it was: a mart that is copied often would begin again and again."""
    if before is None:
        return built
    return replace(built, differences=before.differences, next_range=before.next_range)


def _first_slot(mart: str) -> int:
    """Where the comparison of a mart begins: so that small marts are not all compared in the same refresh."""
    return crc32(mart.encode()) % key_ranges.MOST


def _copy(ends: Ends, found: Found, table: str) -> copying.Sent:
    count = found.rows.count
    ranges = min(key_ranges.MOST, count // key_ranges.LEAST_ROWS)
    bounding = key_ranges.bounding(found.mart, found.columns)
    places = [found.columns.index(column) for column in bounding]
    sent = copying.copy(
        ends.rows,
        copying.select(found.mart.source, found.columns, order=[quoted(name) for name in found.mart.grain]),
        ends.postgres,
        sql.Identifier("serving_data", table),
        found.columns,
        freeze=True,
        every=-(-count // ranges) if ranges > 1 and bounding else 0,
        key=places,
    )
    if sent.rows != count:
        raise IncompleteCopy(
            f"{found.mart.name}: ClickHouse sent {sent.rows} rows, and the mart had {count} just before. "
            "The rows before are still served. If the mart changed during the copy, sync again."
        )
    return sent


def _ranges(postgres: psycopg.Connection, found: Found, sent: copying.Sent) -> KeyRanges:
    """The ranges of the table: the copy, which is sorted by the grain, has noted the key of every n-th row."""
    bounds: list[tuple[str, ...]] = [(), *sent.keys]
    size = -(-sent.rows // len(bounds))
    ranges = [KeyRange(number, lower, min(size, sent.rows - number * size)) for number, lower in enumerate(bounds)]
    columns = key_ranges.bounding(found.mart, found.columns) if sent.keys else []
    return KeyRanges(columns, ranges, key_ranges.is_bytewise(postgres))


def _compare(ends: Ends, found: Found, table: str) -> None:
    """Compare all rows with ClickHouse's by checksum."""
    there = sum_in_clickhouse(ends.clickhouse, found.columns, f"FROM {found.mart.source}")
    rows = sql.SQL("FROM {} AS t").format(sql.Identifier("serving_data", table))
    here = sum_in_postgres(ends.postgres, found.columns, rows)
    if here != there:
        raise IncompleteCopy(
            f"{found.mart.name}: {here[0]} rows with the checksum {here[1]} arrived, the mart has {there[0]} with "
            f"{there[1]}. "
            "The rows before are still served. If the mart changed during the copy, sync again."
        )
