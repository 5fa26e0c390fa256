"""The differences that parity has found, in the state: each with its kind and cause, until it is resolved."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity.bisecting import ONLY_IN_POSTGRES, UNDER_WAY, Difference
from gcc_platform.migration.postgres import Connection

ACCEPTED = "accepted: "
"""How the resolution of a difference begins that is to stay."""
_ANY_ACCEPTED = f"{ACCEPTED}%"


async def note(
    state: Connection, table: LegacyTable, found: Sequence[Difference], day: date | None = None
) -> Sequence[Difference]:
    """Record differences; those of them that nobody has accepted as they are. Raises psycopg.Error."""
    await record(state, table, found, day)
    rows = await state.execute(
        """SELECT event_id, kind FROM migration.differences
        WHERE legacy_table = %s AND event_id = ANY(%s) AND resolution LIKE %s""",
        [table.name, [each.event_id for each in found], _ANY_ACCEPTED],
    )
    accepted = set(await rows.fetchall())
    return [each for each in found if (each.event_id, each.kind) not in accepted]


async def record(state: Connection, table: LegacyTable, found: Sequence[Difference], day: date | None = None) -> None:
    """Note differences, or that they are still there.

    One that was resolved and is there again is open again, unless it was accepted as it is.
    `day` is that of rows that were written to both sides.
    """
    async with state.cursor() as cursor:
        await cursor.executemany(
            """INSERT INTO migration.differences (legacy_table, event_id, kind, cause, detail, day)
            VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (legacy_table, event_id, kind) DO UPDATE
            SET last_seen = now(), cause = excluded.cause, detail = excluded.detail,
                resolved_at = CASE WHEN differences.resolution LIKE %s AND differences.cause IS NOT DISTINCT FROM
                    excluded.cause AND differences.detail IS NOT DISTINCT FROM excluded.detail
                    THEN differences.resolved_at END,
                resolution = CASE WHEN differences.resolution LIKE %s AND differences.cause IS NOT DISTINCT FROM
                    excluded.cause AND differences.detail IS NOT DISTINCT FROM excluded.detail
                    THEN differences.resolution END""",
            [
                (table.name, each.event_id, each.kind, each.cause, each.detail, day, _ANY_ACCEPTED, _ANY_ACCEPTED)
                for each in found
            ],
        )


async def missing_in_clickhouse(state: Connection, table: LegacyTable) -> Sequence[UUID]:
    """The event_ids of open differences that only PostgreSQL has, and whose events are not under way."""
    rows = await state.execute(
        """SELECT event_id FROM migration.differences
        WHERE legacy_table = %s AND kind = %s AND cause IS DISTINCT FROM %s AND resolved_at IS NULL
        ORDER BY event_id""",
        [table.name, ONLY_IN_POSTGRES, UNDER_WAY],
    )
    return [event_id for (event_id,) in await rows.fetchall()]


async def accept(state: Connection, table: LegacyTable, what: str, because: str) -> int:
    """Note that open differences stay, and why: of one event_id, or of a kind and cause as `status` shows them.

    How many there were. They stay resolved for as long as they are the same.
    """
    found = await state.execute(
        """UPDATE migration.differences SET resolved_at = now(), resolution = %(resolution)s
        WHERE legacy_table = %(table)s AND resolved_at IS NULL
            AND %(what)s IN (event_id::text, concat_ws(': ', kind, cause))""",
        {"resolution": f"{ACCEPTED}{because}", "table": table.name, "what": what},
    )
    return found.rowcount


async def resolve(state: Connection, table: LegacyTable, event_ids: Sequence[UUID], resolution: str) -> None:
    """Note how differences ended."""
    await state.execute(
        """UPDATE migration.differences SET resolved_at = now(), resolution = %s
        WHERE legacy_table = %s AND event_id = ANY(%s) AND resolved_at IS NULL""",
        [resolution, table.name, list(event_ids)],
    )


async def resolve_chunk(state: Connection, table: LegacyTable, first: UUID, last: UUID) -> None:
    """Note that the rows of a chunk, from the first to the last event_id, are equal now."""
    await state.execute(
        """UPDATE migration.differences SET resolved_at = now(), resolution = 'equal now'
        WHERE legacy_table = %s AND event_id BETWEEN %s AND %s AND resolved_at IS NULL""",
        [table.name, first, last],
    )


async def resolve_day(state: Connection, table: LegacyTable, day: date) -> None:
    """Note that the rows of a day that were written to both sides are equal now, before noting those that are not."""
    await state.execute(
        """UPDATE migration.differences SET resolved_at = now(), resolution = 'equal now'
        WHERE legacy_table = %s AND day = %s AND resolved_at IS NULL""",
        [table.name, day],
    )
