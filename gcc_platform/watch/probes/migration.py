"""Where the migration of the old PostgreSQL tables stands, and whether its daemons run."""

import asyncio
from collections.abc import Iterator, Sequence

import psycopg

from gcc_platform.migration import state
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.status import TableStatus, status
from gcc_platform.resources.postgres import PostgresUnavailable
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.seen import MovingTable, Seen

_DEADLINE_SECONDS = 10
_SILENCE_SECONDS = 600
"""A daemon looks every five seconds."""
_OLDEST_GAP_SECONDS = 3600
_WATCHED_GATES = (Phase.VERIFIED, Phase.READS, Phase.EVENTS)
"""Phases in which both sides were the same already."""


async def look(url: str) -> Seen:
    """Read the state of the migration. Before `gcc-platform migration init` there is none."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), state.connected(url) as connection:
            found = await status(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return Seen()
    except (PostgresUnavailable, psycopg.Error, TimeoutError):  # PostgresDown names the reason
        return Seen(complete=False)
    return Seen(tuple(alerts(found)), tables=tuple(map(_shown, found)))


def alerts(found: Sequence[TableStatus]) -> Iterator[Alert]:
    """What is wrong with the migration of these tables."""
    for each in found:
        phase = Phase(each.phase)
        if phase is Phase.DONE or each.is_series:
            continue
        gap, lag, reverse = each.oldest_gap_seconds or 0, each.tail_lag_seconds or 0, each.reverse_lag_seconds
        if lag > _SILENCE_SECONDS or gap > _OLDEST_GAP_SECONDS:
            reason = f"the tail of {each.table} looked {lag:.0f} s ago; its oldest gap is {gap:.0f} s old"
            yield _alert("MigrationTailLate", each, reason)
        if reverse is not None and reverse > _SILENCE_SECONDS and phase is not Phase.LEGACY:
            yield _alert("MigrationReverseLate", each, f"the reverse writer of {each.table} looked {reverse:.0f} s ago")
        if each.broken_gates and phase in _WATCHED_GATES:
            reason = f"{each.table}, in the phase {phase}: {', '.join(each.broken_gates)} are red"
            yield _alert("MigrationGateRed", each, reason)


def _alert(name: str, each: TableStatus, summary: str) -> Alert:
    return Alert.of(KINDS[name], summary, about={"table": each.table})


def _shown(each: TableStatus) -> MovingTable:
    return MovingTable(
        each.table,
        each.phase,
        each.chunks,
        each.done,
        each.sealed,
        each.rows,
        each.rows_per_second,
        each.seconds_left,
        each.tail_rows,
        None if each.is_series else each.tail_lag_seconds,
        each.reverse_rows,
        each.reverse_lag_seconds,
        sum(each.open_differences.values()),
        tuple(each.closed_gates),
    )
