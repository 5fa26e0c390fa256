"""The results of gates over time, in the state: a gate counts once it was green for days on end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from gcc_platform.migration.postgres import Connection

STALE = timedelta(hours=36)
"""Nightly checks come every 24 hours. A longer pause ends a green period, for nobody knows what was in it."""


@dataclass(frozen=True)
class GateResult:
    """What a gate found once."""

    gate: str
    passed: bool
    reason: str
    """A sentence with the numbers."""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """A gate's newest result, and since when its results have been green without a pause."""

    result: GateResult
    at: datetime
    green_since: datetime | None
    """None while it is red."""


async def record(state: Connection, table: str, results: Iterable[GateResult]) -> None:
    """Keep results. Raises psycopg.Error."""
    async with state.cursor() as cursor:
        await cursor.executemany(
            """INSERT INTO migration.gate_results (legacy_table, gate, passed, reason, detail)
            VALUES (%s, %s, %s, %s, %s)""",
            [(table, each.gate, each.passed, each.reason, Jsonb(each.detail)) for each in results],
        )


async def standings(state: Connection, table: str) -> Mapping[str, Standing]:
    """How the gates of a table stand, by name; without those that were never measured. Raises psycopg.Error."""
    found = await state.execute(_STANDINGS, {"table": table, "stale": STALE})
    return {
        gate: Standing(GateResult(gate, passed, reason, detail), at, green_since if passed else None)
        for gate, passed, reason, detail, at, green_since in await found.fetchall()
    }


_STANDINGS = """
WITH results AS (
    SELECT *, at - lag(at) OVER (PARTITION BY gate ORDER BY at) > %(stale)s AS resumed
    FROM migration.gate_results WHERE legacy_table = %(table)s),
broken AS (
    SELECT gate, max(at) FILTER (WHERE NOT passed) AS failed_at, max(at) FILTER (WHERE resumed) AS resumed_at
    FROM results GROUP BY gate),
green AS (
    SELECT gate, min(at) AS since FROM results JOIN broken USING (gate)
    WHERE at > coalesce(failed_at, '-infinity') AND at >= coalesce(resumed_at, '-infinity') GROUP BY gate)
SELECT DISTINCT ON (gate) gate, passed, reason, detail, at, since
FROM results LEFT JOIN green USING (gate) ORDER BY gate, at DESC
"""
