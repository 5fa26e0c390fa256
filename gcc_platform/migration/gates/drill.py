"""The drill of the way back: rows made of events, by the reverse writer's own SQL, beside the crawlers' rows.

Crawlers that write both have written the same snapshots to PostgreSQL and to RabbitMQ. So a temporary table that is
filled from ClickHouse has to hold what the old table holds, value by value. Nothing of the old table is changed.
"""

from collections.abc import Sequence

from gcc_platform.migration import identity
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.json_lists import objects
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.reverse.rows_sql import insert_sql, row_columns

ROLLBACK_TRIED = "rollback_tried"

_ROWS = 10_000
_REBUILT = "gcc_rebuilt"


async def drill(old: Connection, sides: Sides, rows: int = _ROWS) -> GateResult:
    """Rebuild the newest rows that crawlers wrote to both sides, and compare. `old` is a connection that may write.

    Raises psycopg.Error and ClickHouseUnavailable.
    """
    table = sides.table
    if table.is_queue:
        return GateResult(ROLLBACK_TRIED, True, "its rows stay the crawlers': there is nothing to go back to")
    event_ids, first, last = await _newest(sides, rows)
    events = await _events(sides, first, last)
    async with old.transaction():
        await _create(old, table)
        rebuild = insert_sql(table, sides.database, into=_REBUILT)
        await old.execute(rebuild.encode(), {"events": b"\n".join(events).decode()})
        different = await _different(old, table, event_ids)
    detail = {"rows": len(event_ids), "events": len(events), "different": different}
    reason = f"{len(event_ids)} rows of crawlers that write both: {different} differ from those made of their events"
    if not event_ids:
        reason = f"no row with an event_id is older than {sides.grace_seconds} s: let a crawler write both first"
    return GateResult(ROLLBACK_TRIED, bool(event_ids) and not different, reason, detail)


async def _newest(sides: Sides, rows: int) -> tuple[Sequence[str], str, str]:
    """The event_ids of the newest rows of dual-writing crawlers whose events had the time to land; and their times."""
    table, zone = sides.table, sides.database.zone(sides.table.name)
    found = await sides.old.execute(
        f"""SELECT event_id::text, ({table.time} AT TIME ZONE %(zone)s)::text FROM {table.name}
        WHERE event_id IS NOT NULL AND {table.time} < (now() - make_interval(secs => %(grace)s)) AT TIME ZONE %(zone)s
        ORDER BY id DESC LIMIT %(rows)s""".encode(),
        {"zone": zone, "grace": sides.grace_seconds, "rows": rows},
    )
    newest = await found.fetchall()
    times = [at.removesuffix("+00") for _, at in newest]
    return [event_id for event_id, _ in newest], min(times, default=""), max(times, default="")


async def _events(sides: Sides, first: str, last: str) -> Sequence[bytes]:
    """The events of these times, as JSON objects, as the reverse writer reads them."""
    if not first:
        return []
    columns = ", ".join(sides.table.event_columns)
    return await sides.clickhouse.rows(
        f"""SELECT {columns} FROM {sides.table.raw_table}
        WHERE event_timestamp BETWEEN toDateTime64({{first:String}}, 6, 'UTC')
            AND toDateTime64({{last:String}}, 6, 'UTC') AND NOT ({identity.MADE})
        LIMIT 1 BY event_id SETTINGS date_time_output_format = 'simple'""",
        {"first": first, "last": last},
    )


async def _create(old: Connection, table: LegacyTable) -> None:
    """A table like the old one, for this transaction."""
    await old.execute(f"CREATE TEMPORARY TABLE {_REBUILT} (LIKE {table.name}) ON COMMIT DROP".encode())
    await old.execute(f"ALTER TABLE {_REBUILT} ALTER COLUMN id DROP NOT NULL".encode())
    await old.execute(f"CREATE UNIQUE INDEX ON {_REBUILT} (event_id) WHERE event_id IS NOT NULL".encode())


async def _different(old: Connection, table: LegacyTable, event_ids: Sequence[str]) -> int:
    """How many rows are missing among the rebuilt ones, or have another value. Lists are compared as objects."""
    lists = objects({f"{column}_of_{side}": f"{side}.{column}" for column in table.lists for side in ("r", "b")})
    same = [f"{_value('r', name)} IS NOT DISTINCT FROM {_value('b', name)}" for name in row_columns(table)]
    same += [f"{column}_of_r = {column}_of_b" for column in table.lists]
    found = await old.execute(
        f"""SELECT count(*) FROM {table.name} AS r LEFT JOIN {_REBUILT} AS b ON b.event_id = r.event_id {lists}
        WHERE r.event_id = ANY(%s::uuid[]) AND (b.event_id IS NULL OR NOT ({" AND ".join(same)}))""".encode(),
        [list(event_ids)],
    )
    [count] = await found.fetchone() or (0,)
    return int(count)


def _value(side: str, column: str) -> str:
    """A row without a source is an event with an empty one."""
    return f"coalesce({side}.source, '')" if column == "source" else f"{side}.{column}"
