"""All checks of all raw tables, from a handful of queries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.columns import columns as declared_columns
from gcc_platform.defs.raw.table_stats import Arrivals, arrivals
from gcc_platform.raw_checks import dead_letters, freshness, parts, queues, recent_rows, reconciliation, schema, volume
from gcc_platform.raw_checks.finding import Finding
from gcc_platform.raw_checks.parts import Parts
from gcc_platform.raw_checks.queues import Queues
from gcc_platform.raw_checks.recent_rows import RecentRows
from gcc_platform.raw_checks.reconciliation import Reconciled
from gcc_platform.raw_checks.volume import Volume
from gcc_platform.resources.clickhouse import ClickHouse
from ingest_service.broker import topology
from ingest_service.events.contract import EventType

DESCRIPTIONS: Mapping[str, str] = {
    "freshness": "Rows arrive within the limit of the dbt source.",
    "volume": "Rows arrive as in the same minutes of earlier days, or as in the last hour.",
    "schema": "The table has the columns that gcc-ingest init creates.",
    "event_times": "No event is more than 5 minutes ahead of its arrival.",
    "duplicates": "Less than 2 % of what landed repeats an event. Duplicates are harmless: staging reads each once.",
    "reconciled": "The table has the rows that landed by the ledger, and no others.",
    "dead_letters": "No message was dead-lettered in the last 15 minutes.",
    "parts": "No partition has more than 300 parts: with too many, ClickHouse slows inserts down.",
    "queue": "Something consumes the queue.",
}
"""What each check expects, by name."""


@dataclass(frozen=True)
class Measured:
    """What was measured of all tables."""

    arrived: Mapping[dg.AssetKey, Arrivals]
    volumes: Mapping[str, Volume]
    recent: Mapping[str, RecentRows]
    reconciled: Mapping[str, Reconciled]
    letters: Mapping[str, Mapping[str, int]]
    columns: Mapping[str, schema.Columns]
    parts: Mapping[str, Parts]
    queues: Queues | None
    """None: not asked."""


def measure(
    clickhouse: ClickHouse, broker_url: str | None, since: Mapping[dg.AssetKey, datetime], now: datetime
) -> Measured:
    """Measure all tables. `since` is the newest insert that was reported of each. Raises ClickHouseFailed."""
    columns = schema.measure(clickhouse)
    names = topology.queues(tables.BY_KEY.values())
    readable = [key.path[-1] for key in since if _is_readable(key, columns)]
    return Measured(
        arrivals(clickhouse, since),
        volume.measure(clickhouse, now),
        recent_rows.measure(clickhouse, readable, now),
        reconciliation.measure(clickhouse, readable, now),
        dead_letters.measure(clickhouse, now),
        columns,
        parts.measure(clickhouse),
        queues.measure(broker_url, names) if broker_url else None,
    )


def findings(key: dg.AssetKey, measured: Measured, now: datetime) -> Iterator[Finding]:
    """The results of all checks of one table."""
    event_type, table = tables.BY_KEY[key], key.path[-1]
    recent = measured.recent.get(table, RecentRows(0, 0, 0, 0.0))
    yield _freshness(event_type, measured.arrived.get(key), now)
    yield volume.check(measured.volumes.get(event_type.name, Volume()))
    yield schema.check(measured.columns.get(table, {}), declared_columns(event_type))
    yield recent_rows.check_event_times(recent)
    yield recent_rows.check_duplicates(recent)
    yield reconciliation.check(measured.reconciled.get(table, Reconciled(now, now)))
    yield dead_letters.check(measured.letters.get(event_type.name, {}), recent.landed)
    yield parts.check(measured.parts.get(table, Parts()))
    if measured.queues is not None:
        yield queues.check(measured.queues, event_type.queue, event_type.error_queue)


def _freshness(event_type: EventType, arrived: Arrivals | None, now: datetime) -> Finding:
    if arrived is None:
        return Finding("freshness", False, f"{event_type.table} does not exist: gcc-ingest init creates it")
    return freshness.check(arrived.rows, arrived.newest_insert, _limit(event_type), now)


def _limit(event_type: EventType) -> timedelta | None:
    limits = tables.freshness(event_type)
    return limits and (limits[0] or limits[1])


def _is_readable(key: dg.AssetKey, columns: Mapping[str, schema.Columns]) -> bool:
    """Whether the columns that every check needs exist: one was perhaps renamed, which the schema check reports."""
    return {"event_id", "event_timestamp", "insert_timestamp"} <= columns.get(key.path[-1], {}).keys()
