"""The gates that are measured when they are asked for, from the state and the servers."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.rows import dict_row

from gcc_platform.migration import legacy_database
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection

PREPARED = "prepared"
BACKFILL_SEALED = "backfill_sealed"
TAIL_CAUGHT_UP = "tail_caught_up"
REVERSE_CAUGHT_UP = "reverse_caught_up"
DEAD_LETTERS_EMPTY = "dead_letters_empty"
OLD_WRITERS_GONE = "old_writers_gone"

_OLDEST_GAP = timedelta(hours=1)
_SILENCE = timedelta(minutes=10)
"""A daemon that has not looked for so long has ended."""
_COUNTED_WITHIN_SECONDS = 15


@dataclass(frozen=True)
class Measuring:
    """One table, where it is measured."""

    state: Connection
    sides: Sides
    rows_are_written: bool = True
    """Whether crawlers still write every row, so that the reverse writer should find nothing to write."""

    @property
    def table(self) -> LegacyTable:
        """The table."""
        return self.sides.table


async def prepared(measuring: Measuring) -> GateResult:
    """The old table has the column event_id and its index, and its backfill is planned."""
    table, old = measuring.table, measuring.sides.old
    found = {
        "column event_id": await legacy_database.has_event_id(old, table),
        f"index {legacy_database.index_name(table)}": await legacy_database.has_index(old, table),
        "plan of the backfill": bool(
            await _row(measuring, "SELECT next_id FROM migration.tail WHERE legacy_table = %(table)s")
        ),
    }
    absent = [name for name, is_there in found.items() if not is_there]
    return GateResult(PREPARED, not absent, f"{', '.join(absent)}: missing" if absent else "all is there", found)


async def backfill_sealed(measuring: Measuring) -> GateResult:
    """Every chunk is done and sealed, and what became of each rejected row is noted."""
    found = await _row(
        measuring,
        """SELECT count(*) AS chunks, count(*) FILTER (WHERE state = 'done') AS done,
            count(*) FILTER (WHERE state = 'failed') AS failed, count(sealed_at) AS sealed,
            (SELECT count(*) FROM migration.rejected WHERE legacy_table = %(table)s AND resolved_at IS NULL)
                AS rejected
        FROM migration.chunks WHERE legacy_table = %(table)s""",
    )
    passed = found["sealed"] == found["chunks"] and not found["rejected"]
    reason = (
        f"{found['sealed']} of {found['chunks']} chunks are sealed, {found['done']} are done, {found['failed']} failed"
    )
    return GateResult(BACKFILL_SEALED, passed, f"{reason}; {found['rejected']} rejected rows are open", found)


async def tail_caught_up(measuring: Measuring) -> GateResult:
    """The tail runs, and no transaction has kept ids open for an hour. A slot needs no gaps: those stand still."""
    found = await _row(
        measuring,
        """SELECT extract(epoch FROM now() - looked_at)::float8 AS looked_seconds_ago, next_id,
            (SELECT coalesce(extract(epoch FROM now() - min(seen_at)), 0)::float8 FROM migration.gaps
             WHERE legacy_table = %(table)s AND slot_wal_bytes IS NULL) AS oldest_gap_seconds
        FROM migration.tail WHERE legacy_table = %(table)s""",
    )
    if not found:
        return GateResult(TAIL_CAUGHT_UP, False, "its backfill is not planned")
    newest = await measuring.sides.old.execute(f"SELECT coalesce(max(id), 0) FROM {measuring.table.name}".encode())
    [highest] = await newest.fetchone() or (0,)
    behind = max(0, highest - found.pop("next_id") + 1)
    ago, gap = found["looked_seconds_ago"], found["oldest_gap_seconds"]
    passed = ago < _SILENCE.total_seconds() and gap < _OLDEST_GAP.total_seconds()
    reason = f"it looked {ago:.0f} s ago, is {behind} ids behind, its oldest gap is {gap:.0f} s old"
    return GateResult(TAIL_CAUGHT_UP, passed, reason, {**found, "ids_behind": behind})


async def reverse_caught_up(measuring: Measuring) -> GateResult:
    """The reverse writer runs; while crawlers write every row it finds nothing to write."""
    if measuring.table.is_queue:
        return GateResult(REVERSE_CAUGHT_UP, True, "its rows stay the crawlers': nothing is written back")
    found = await _row(
        measuring,
        """SELECT extract(epoch FROM now() - moved_at)::float8 AS lag_seconds, rows_written,
            (SELECT count(*) FROM migration.unwritten WHERE legacy_table = %(table)s) AS unwritten
        FROM migration.reverse WHERE legacy_table = %(table)s""",
    )
    if not found:
        return GateResult(REVERSE_CAUGHT_UP, False, "the reverse writer has not run: gcc-platform migration reverse")
    before = await _previous(measuring, REVERSE_CAUGHT_UP)
    new = found["rows_written"] - before.get("rows_written", 0)
    unwritten = max(0, found["unwritten"] - before.get("unwritten", 0))
    in_time = found["lag_seconds"] < _SILENCE.total_seconds()
    passed = in_time and not unwritten and not (new and measuring.rows_are_written)
    reason = f"it looked {found['lag_seconds']:.0f} s ago, and has written {new} rows since it was measured last"
    if unwritten:
        reason += f"; {unwritten} events cannot be rows: see migration.unwritten"
    return GateResult(REVERSE_CAUGHT_UP, passed, reason, {**found, "new_rows": new})


async def dead_letters_empty(measuring: Measuring) -> GateResult:
    """No dead letter of the event type waits whose event has not landed in another way."""
    rows = await measuring.sides.clickhouse.column(
        f"""SELECT count() FROM (
            SELECT toUUIDOrZero(JSONExtractString(body, 'event_id')) AS event_id
            FROM _e.dead_letter_events FINAL
            WHERE event_type = '{measuring.table.event_type}'
                AND (letter_id, attempts) NOT IN (SELECT letter_id, attempts FROM _e.dead_letter_replays)) AS letters
        WHERE event_id NOT IN (
            SELECT event_id FROM {measuring.table.raw_table} WHERE event_id IN (
                SELECT toUUIDOrZero(JSONExtractString(body, 'event_id')) FROM _e.dead_letter_events
                WHERE event_type = '{measuring.table.event_type}'))"""
    )
    count = int(rows[0])
    return GateResult(DEAD_LETTERS_EMPTY, count == 0, f"{count} dead letters wait", {"dead_letters": count})


async def old_writers_gone(measuring: Measuring) -> GateResult:
    """Nothing but the reverse writer has inserted into the old table since it was measured last."""
    found = await _row(
        measuring,
        """SELECT coalesce((SELECT rows FROM migration.tail WHERE legacy_table = %(table)s), 0) AS tail_rows,
            coalesce((SELECT rows_written FROM migration.reverse WHERE legacy_table = %(table)s), 0)
                AS reverse_rows, extract(epoch FROM clock_timestamp())::float8 AS measured_at""",
    )
    asked = await measuring.sides.old.execute(
        "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = %s::regclass", [measuring.table.name]
    )
    [inserted] = await asked.fetchone() or (0,)
    found["inserted"] = inserted
    before = await _previous(measuring, OLD_WRITERS_GONE)
    if not before:
        return GateResult(
            OLD_WRITERS_GONE, False, "measured for the first time: there is nothing to compare with", found
        )
    written = found["reverse_rows"] - before["reverse_rows"]
    by_others = inserted - before["inserted"] - written
    taken = found["tail_rows"] - before["tail_rows"]
    # PostgreSQL counts an insert some seconds later, and the reverse writer at the end of its poll.
    late = math.ceil(written / max(1.0, found["measured_at"] - before["measured_at"]) * _COUNTED_WITHIN_SECONDS)
    reason = f"others than the reverse writer have inserted {by_others} rows (of which {late} may be its own), "
    reason += f"the tail has taken {taken}"
    if by_others < -late:
        reason = "the statistics of the old database were reset: it is measured from now on"
    return GateResult(OLD_WRITERS_GONE, abs(by_others) <= late and not taken, reason, found)


MEASURES: Mapping[str, Callable[[Measuring], Awaitable[GateResult]]] = {
    PREPARED: prepared,
    BACKFILL_SEALED: backfill_sealed,
    TAIL_CAUGHT_UP: tail_caught_up,
    REVERSE_CAUGHT_UP: reverse_caught_up,
    DEAD_LETTERS_EMPTY: dead_letters_empty,
    OLD_WRITERS_GONE: old_writers_gone,
}


async def _row(measuring: Measuring, query: str) -> dict[str, Any]:
    """The first row of a query on the state, by column; nothing if there is none."""
    async with measuring.state.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), {"table": measuring.table.name})
        return await cursor.fetchone() or {}


async def _previous(measuring: Measuring, gate: str) -> Mapping[str, Any]:
    """The numbers of the gate's newest result; nothing if it was not measured before."""
    found = await measuring.state.execute(
        "SELECT detail FROM migration.gate_results WHERE legacy_table = %s AND gate = %s ORDER BY at DESC LIMIT 1",
        [measuring.table.name, gate],
    )
    row = await found.fetchone()
    return row[0] if row else {}
