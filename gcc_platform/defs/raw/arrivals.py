"""What has arrived in the raw tables: one query for all of them, which opens no older parts than it must."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from gcc_platform.resources.clickhouse import ClickHouse, quoted

_DATABASE = "_e"
_SLACK = timedelta(minutes=5)
"""Clocks differ, and a part is visible a little after its time."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Arrivals:
    """One raw table as it is now. Both times are None where nothing arrived since the time asked about."""

    rows: int
    newest_insert: datetime | None
    newest_event: datetime | None


@dataclass(frozen=True)
class Copies:
    """How many of a table's recent rows there are, and how many distinct events they are."""

    rows: int
    events: int

    @property
    def share(self) -> float:
        """The part of the rows that are copies of others."""
        return 1 - self.events / self.rows if self.rows else 0.0


def arrivals(clickhouse: ClickHouse, since: Mapping[dg.AssetKey, datetime]) -> Mapping[dg.AssetKey, Arrivals]:
    """What arrived since a time of each table's own; tables that do not exist are left out."""
    rows = _existing(clickhouse, since)
    slack = {key: max(since[key] - _SLACK, BEGINNING) for key in rows}
    found = _union(clickhouse, slack, "max(insert_timestamp), max(event_timestamp), count()")
    return {
        key: Arrivals(rows[key], newest_insert, newest_event) if count else Arrivals(rows[key], None, None)
        for key, (newest_insert, newest_event, count) in found.items()
    }


def copies(clickhouse: ClickHouse, tables: Iterable[dg.AssetKey], window: timedelta) -> Mapping[dg.AssetKey, Copies]:
    """How often recent events are there twice; tables that do not exist are left out."""
    since = dict.fromkeys(_existing(clickhouse, tables), datetime.now(UTC) - window)
    found = _union(clickhouse, since, "count(), uniqExact(event_id)")
    return {key: Copies(rows, events) for key, (rows, events) in found.items()}


def _existing(clickhouse: ClickHouse, tables: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, int]:
    """The tables that exist, with their row counts."""
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
    """The aggregates over what was inserted into each table since its own time.

    insert_timestamp is in no index; the parts' times are, and an insert makes a part: old ones are not opened.
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
