"""What has arrived in the raw tables: one query for all of them, reading no older parts than it must."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

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


def arrivals(clickhouse: ClickHouse, since: Mapping[str, datetime]) -> Mapping[str, Arrivals]:
    """What arrived since a time of each table's own, by table; tables that do not exist are left out."""
    rows = _existing(clickhouse, since)
    known = {table: since[table] - _SLACK if since[table] > BEGINNING else BEGINNING for table in rows}
    found = _union(clickhouse, known, "max(insert_timestamp), max(event_timestamp), count()")
    return {
        table: Arrivals(rows[table], newest_insert, newest_event) if count else Arrivals(rows[table], None, None)
        for table, newest_insert, newest_event, count in found
    }


def copies(clickhouse: ClickHouse, tables: Iterable[str], window: timedelta) -> Mapping[str, Copies]:
    """How often recent events are there twice, by table; tables that do not exist are left out."""
    since = datetime.now(UTC) - window
    found = _union(clickhouse, dict.fromkeys(_existing(clickhouse, tables), since), "count(), uniqExact(event_id)")
    return {table: Copies(rows, events) for table, rows, events in found}


def _existing(clickhouse: ClickHouse, tables: Iterable[str]) -> dict[str, int]:
    """The tables that exist, with their row counts."""
    rows = clickhouse.rows(
        "SELECT name, ifNull(total_rows, 0) FROM system.tables "
        "WHERE database = {database:String} AND name IN {tables:Array(String)}",
        {"database": _DATABASE, "tables": list(tables)},
    )
    return {str(name): int(count) for name, count in rows}


def _union(clickhouse: ClickHouse, since: Mapping[str, datetime], aggregates: str) -> Sequence[Sequence[Any]]:
    """The aggregates over what was inserted since each table's time, one row per table.

    insert_timestamp is in no index; the parts' times are, and an insert makes a part: old ones are not opened.
    """
    queries = []
    for number, table in enumerate(since):
        after = f"{{since_{number}:DateTime64(3, 'UTC')}}"
        queries.append(
            f"SELECT '{table}', {aggregates} FROM {_DATABASE}.{quoted(table)} "  # noqa: S608  names are the registry's
            f"WHERE insert_timestamp >= {after} AND _part IN (SELECT name FROM system.parts "
            f"WHERE active AND database = '{_DATABASE}' AND table = '{table}' AND modification_time >= {after})"
        )
    if not queries:
        return []
    parameters = {f"since_{number}": time for number, time in enumerate(since.values())}
    return clickhouse.rows(" UNION ALL ".join(queries), parameters)
