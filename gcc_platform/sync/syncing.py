"""Syncs one mart: finds out what has changed, does the least that makes PostgreSQL equal, and proves a part of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psycopg

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync import changed_rows, full, joined, key_ranges, layout, parity, proving, source, state, versions
from gcc_platform.sync import written_by_others as others
from gcc_platform.sync.changed_rows import CountsDisagree
from gcc_platform.sync.column_types import cleaning, json_times
from gcc_platform.sync.column_types.columns import Column, columns_of
from gcc_platform.sync.copying import RowSource
from gcc_platform.sync.ends import Ends, Found
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.mode import Choice, Mode, choose, is_unchanged
from gcc_platform.sync.outcome import DEFAULTS, Options, Synced
from gcc_platform.sync.state import State
from gcc_platform.sync.views import view
from gcc_platform.sync.written_by_others import Written
from ingest_service.errors import UserError

_FALLEN_ROWS = 100
"""A mart that loses fewer rows than this is small, not broken."""


class RowsFell(UserError):
    """A mart has far fewer rows than are served; these are served on."""

    def __init__(self, mart: str, served: int, present: int, limit: float) -> None:
        super().__init__(
            f"{mart} has {present} rows in ClickHouse, and {served} are served: {1 - present / served:.0%} fewer, and "
            f"{limit:.0%} are allowed (GCC_SYNC_MAX_FALL). The rows before are still served. If the mart is right: "
            f"gcc-platform sync {mart} --allow-fewer-rows"
        )


class NotSynced(UserError):
    """There is nothing to compare: what is served is not the mart as it is now."""

    def __init__(self, mart: str) -> None:
        super().__init__(f"{mart} has changed since it was synced, or never was: run gcc-platform sync {mart} first")


def sync(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    options: Options = DEFAULTS,
    rows: RowSource | None = None,
) -> Synced:
    """Make PostgreSQL serve the mart's present rows. `postgres` must be in autocommit mode.

    Raises AlreadySyncing, NoSuchMart, UnsupportedColumn, ClickHouseFailed, IncompleteCopy, GrainBroken, RowsFell and
    ViewBusy: then the rows before are still served.
    """
    return _measured(Ends(clickhouse, rows or clickhouse, postgres), mart, options, _synced)


def prove(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    options: Options = DEFAULTS,
    rows: RowSource | None = None,
) -> Synced:
    """Compare what is served with the mart, and repair it: the key ranges that are due, or all of them.

    Raises NotSynced if the mart has changed since it was synced, and what `sync` raises.
    """
    return _measured(Ends(clickhouse, rows or clickhouse, postgres), mart, options, _compared)


def _measured(
    ends: Ends, mart: Mart, options: Options, work: Callable[[Ends, Mart, Sequence[Column], Options], Synced]
) -> Synced:
    """Do the work under the mart's lock, and add what it has cost."""
    postgres = ends.postgres
    started, written_before = time.monotonic(), _wal(postgres)
    columns = columns_of(ends.clickhouse, mart.database, mart.name, mart.jsonb)
    versions.create_schemas(postgres)
    state.create(postgres)
    key_ranges.create(postgres)
    with versions.mart_lock(postgres, mart.name):
        result = work(ends, mart, columns, options)
    postgres.execute("SELECT pg_stat_force_next_flush()")  # the next sync compares PostgreSQL's counters
    served = state.read(postgres, mart.name)
    return replace(
        result,
        wal_bytes=_wal(postgres) - written_before,
        table_bytes=layout.size(postgres, served.table_name) if served else 0,
        seconds=time.monotonic() - started,
    )


def _synced(ends: Ends, mart: Mart, columns: Sequence[Column], options: Options) -> Synced:
    before = state.read(ends.postgres, mart.name)
    before, written, odd = _of_others(ends, mart, columns, before, options)
    found = _found(ends, mart, columns, before)
    choice = _choice(ends, found, before, options)
    if before and found.rows.count < before.rows - max(_FALLEN_ROWS - 1, options.max_fall * before.rows):
        raise RowsFell(mart.name, before.rows, found.rows.count, options.max_fall)
    if options.is_dry:
        return Synced(
            mart.name, choice.mode, choice.reason, before.rows if before else 0, found.rows.count, written=written
        )
    cleaned = _cleaned(ends, found, before, choice)
    result = _done(ends, found, before, choice, odd, options)
    return proving.counted(ends, replace(result, written=written or result.written, cleaned=cleaned))


def _cleaned(ends: Ends, found: Found, before: State | None, choice: Choice) -> Mapping[str, int]:
    """The values to be sent that PostgreSQL cannot hold as they are, by column. Raises JsonTimes."""
    condition = ""
    if before and choice.mode is not Mode.FULL:
        condition = source.inserted_since(before.watermarks, found.rows.watermarks)
        if choice.mode is Mode.UNCHANGED or not condition:
            return {}
    rows = f"FROM {found.mart.source}" + (f" WHERE {condition}" if condition else "")
    json_times.refuse(ends.clickhouse, found.mart.name, found.columns, rows)
    return cleaning.cleaned(ends.clickhouse, found.columns, rows)


def _compared(ends: Ends, mart: Mart, columns: Sequence[Column], options: Options) -> Synced:
    before, written, odd = _of_others(ends, mart, columns, state.read(ends.postgres, mart.name), options)
    found = _found(ends, mart, columns, before)
    if before is None or not is_unchanged(before, found):
        raise NotSynced(mart.name)
    result = _done(ends, found, before, Choice(Mode.UNCHANGED, "no row has changed"), odd, options)
    return proving.counted(ends, replace(result, written=written))


def _of_others(
    ends: Ends, mart: Mart, columns: Sequence[Column], before: State | None, options: Options
) -> tuple[State | None, Written | None, Sequence[int]]:
    """The state with PostgreSQL's counters as they are now, what others have written, and the key ranges to compare."""
    if before is None:
        return None, None, ()
    if not others.table_exists(ends.postgres, before.table_name):
        return None, Written(f"the table serving_data.{before.table_name} was dropped"), ()
    dropped = None
    if not others.is_served(ends.postgres, mart.name, before.table_name):
        dropped = Written(f"the view serving.{mart.name} was dropped, or read another table")
        if not options.is_dry:
            with ends.postgres.transaction():
                view.swap(ends.postgres, mart.name, before.table_name, options.retry)
    counted = others.counted(ends.postgres, before.table_name)
    if counted == before.writes:
        return before, dropped, ()
    ranges = key_ranges.read(ends.postgres, before.table_name, columns)
    written = others.written(ends.postgres, mart, before, ranges)
    # A transaction may be older than the sync's, and have ended after it: then only the rows themselves show it.
    odd = written.ranges if written else parity.unlike_before(ends.postgres, before.table_name, ranges)
    return replace(before, writes=counted), written or dropped, odd


def _found(ends: Ends, mart: Mart, columns: Sequence[Column], before: State | None) -> Found:
    """What is in ClickHouse. Rows are not looked at if the table has the parts it had at the last sync."""
    table = source.table(ends.clickhouse, mart)
    if before and table.parts and (before.source_uuid, before.source_parts) == (table.uuid, table.parts):
        rows = source.Rows(before.rows, before.watermarks, before.fingerprint)
    else:
        rows = source.rows(ends.clickhouse, mart, columns, table)
    return Found(mart, columns, layout.described(mart, columns), table, rows)


def _choice(ends: Ends, found: Found, before: State | None, options: Options) -> Choice:
    if options.is_full:
        return Choice(Mode.FULL, "it was asked for")
    changed = 0
    if before and before.watermarks and before.source_uuid == found.table.uuid:
        condition = source.inserted_since(before.watermarks, found.rows.watermarks)
        changed = source.count(ends.clickhouse, found.mart, condition) if condition else 0
    size = layout.size(ends.postgres, before.table_name) if before else 0
    return choose(before, found, changed=changed, present_bytes=size, least_rows=options.least_rows)


def _done(
    ends: Ends, found: Found, before: State | None, choice: Choice, odd: Sequence[int], options: Options
) -> Synced:
    """Do what was chosen. If the changed rows do not add up, copy in full."""
    if before is None or choice.mode is Mode.FULL:
        return _copied(ends, found, choice, options)
    result = Synced(found.mart.name, choice.mode, choice.reason, before.rows, found.rows.count)
    try:
        # At once, for readers; and after the upsert a range differs only by what others wrote.
        with joined.transaction(ends.postgres):
            # The counters as they are now, with what explains them: a sync that is killed here finds it again.
            if odd or before.writes != state.present(ends.postgres, found.mart.name).writes:
                state.touch(ends.postgres, found.mart.name, before)
            if choice.mode is Mode.CHANGED_ROWS:
                result = _upserted(ends, found, before, choice, options)
            repaired = parity.compare(ends, found, before, odd)
        return proving.proved(ends, found, result, odd, repaired, options)
    except CountsDisagree as error:
        # Before the copy replaces what somebody wrote: PostgreSQL's counters may not have shown it yet.
        ranges = key_ranges.read(ends.postgres, before.table_name, found.columns)
        written = others.written(ends.postgres, found.mart, before, ranges)
        copied = _copied(ends, found, Choice(Mode.FULL, f"the changed rows did not add up: {error}"), options)
        return replace(copied, written=written)


def _upserted(ends: Ends, found: Found, before: State, choice: Choice, options: Options) -> Synced:
    done = changed_rows.apply(ends, found, before, options.run_id)
    inserted, updated, deleted = done.changes.counts
    return Synced(
        found.mart.name,
        choice.mode,
        choice.reason,
        done.state.rows,
        found.rows.count,
        inserted,
        updated,
        deleted,
        sent_bytes=done.sent_bytes,
    )


def _copied(ends: Ends, found: Found, choice: Choice, options: Options) -> Synced:
    """Copy in full, or serve a table that an earlier sync has built and could not serve."""
    built, sent = state.read(ends.postgres, found.mart.name, "builds"), 0
    reason = choice.reason
    if (
        built
        and not options.is_full
        and is_unchanged(built, found)
        and others.table_exists(ends.postgres, built.table_name)
    ):
        reason = f"{reason}; it was copied by an earlier sync"
    else:
        new = full.build(ends, found, versions.new_version(), options.run_id)
        built, sent = new.state, new.sent_bytes
    swapped = full.serve(ends.postgres, found.mart.name, built, options.retry)
    return Synced(
        found.mart.name,
        Mode.FULL,
        reason,
        built.rows,
        found.rows.count,
        inserted=built.rows,
        sent_bytes=sent,
        swap_attempts=swapped.attempts,
    )


def _wal(postgres: psycopg.Connection) -> int:
    """The WAL that this session has written so far; before PostgreSQL 18, what the server has."""
    if postgres.info.server_version >= 180000:
        row = postgres.execute("SELECT wal_bytes FROM pg_stat_get_backend_wal(pg_backend_pid())").fetchone()
    else:
        row = postgres.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()
    return int(row[0] or 0) if row else 0
