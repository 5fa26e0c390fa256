"""Statistics of the raw tables, each from one query for all tables, which reads no older parts than it must."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from gcc_platform.resources.clickhouse import ClickHouse, quoted

_DATABASE = "_e"
_SLACK = timedelta(minutes=5)
"""For clocks that differ, and for parts that become visible a little after their modification time."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Arrivals:
    """A raw table's present rows. Both times are None if nothing arrived since the time in question."""

    rows: int
    newest_insert: datetime | None
    newest_event: datetime | None


@dataclass(frozen=True)
class Duplicates:
    """The numbers of a table's recent rows, and of distinct events among them."""

    rows: int
    events: int

    @property
    def share(self) -> float:
        """The share of the rows that repeat an event."""
        return 1 - self.events / self.rows if self.rows else 0.0


def arrivals(clickhouse: ClickHouse, since: Mapping[dg.AssetKey, datetime]) -> Mapping[dg.AssetKey, Arrivals]:
    """The arrivals in each table since a time of its own. Omits tables that do not exist."""
    rows = _existing(clickhouse, since)
    slack = {key: max(since[key] - _SLACK, BEGINNING) for key in rows}
    found = _union(clickhouse, slack, "max(insert_timestamp), max(event_timestamp), count()")
    return {
        key: Arrivals(rows[key], newest_insert, newest_event) if count else Arrivals(rows[key], None, None)
        for key, (newest_insert, newest_event, count) in found.items()
    }


def duplicates(
    clickhouse: ClickHouse, tables: Iterable[dg.AssetKey], window: timedelta
) -> Mapping[dg.AssetKey, Duplicates]:
    """The duplicates among the rows of the last `window`. Omits tables that do not exist."""
    since = dict.fromkeys(_existing(clickhouse, tables), datetime.now(UTC) - window)
    found = _union(clickhouse, since, "count(), uniqExact(event_id)")
    return {key: Duplicates(rows, events) for key, (rows, events) in found.items()}


def _existing(clickhouse: ClickHouse, tables: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, int]:
    """The row counts of the tables that exist."""
    by_name = {key.path[-1]: key for key in tables}
    rows = clickhouse.rows(
        "SELECT name, ifNull(total_rows, 0) FROM system.tables "
        "WHERE database = {database:String} AND name IN {tables:Array(String)}",
        {"database": _DATABASE, "tables": list(by_name)},
    )
    return {by_name[name]: int(count) for name, count in rows}


def _union(
    clickhouse: ClickHouse, since: Mapping[dg.AssetKey, datetime], aggregates: str
) -> Mapping[dg.AssetKey, Sequence[Any]]:
    """The aggregates over the rows that were inserted into each table since its own time.

    Restricted to the parts modified since then: an insert creates a part, so older parts have no such rows.
    """
    queries = []
    for number, key in enumerate(since):
        table, after = key.path[-1], f"{{since_{number}:DateTime64(3, 'UTC')}}"
        queries.append(
            f"SELECT '{table}', {aggregates} FROM {_DATABASE}.{quoted(table)} "  # noqa: S608  names are the registry's
            f"WHERE insert_timestamp >= {after} AND _part IN (SELECT name FROM system.parts "
            f"WHERE active AND database = '{_DATABASE}' AND table = '{table}' AND modification_time >= {after})"
        )
    if not queries:
        return {}
    parameters = {f"since_{number}": time for number, time in enumerate(since.values())}
    found = {row[0]: row[1:] for row in clickhouse.rows(" UNION ALL ".join(queries), parameters)}
    return {key: found[key.path[-1]] for key in since}
