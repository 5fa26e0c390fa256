"""What has arrived in the raw tables, asked of ClickHouse for all of them at once and without reading old parts."""

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


def arrivals(clickhouse: ClickHouse, tables: Iterable[str], since: datetime) -> Mapping[str, Arrivals]:
    """What arrived since a time, by table; tables that do not exist are left out."""
    rows = _existing(clickhouse, tables)
    found = _union(clickhouse, rows, "max(insert_timestamp), max(event_timestamp), count()", since - _SLACK)
    return {
        table: Arrivals(rows[table], newest_insert, newest_event) if count else Arrivals(rows[table], None, None)
        for table, newest_insert, newest_event, count in found
    }


def copies(clickhouse: ClickHouse, tables: Iterable[str], window: timedelta) -> Mapping[str, Copies]:
    """How often recent events are there twice, by table; tables that do not exist are left out."""
    since = datetime.now(UTC) - window
    found = _union(clickhouse, _existing(clickhouse, tables), "count(), uniqExact(event_id)", since)
    return {table: Copies(rows, events) for table, rows, events in found}


def _existing(clickhouse: ClickHouse, tables: Iterable[str]) -> dict[str, int]:
    """The tables that exist, with their row counts."""
    rows = clickhouse.rows(
        "SELECT name, ifNull(total_rows, 0) FROM system.tables "
        "WHERE database = {database:String} AND name IN {tables:Array(String)}",
        {"database": _DATABASE, "tables": list(tables)},
    )
    return {str(name): int(count) for name, count in rows}


def _union(clickhouse: ClickHouse, tables: Iterable[str], aggregates: str, since: datetime) -> Sequence[Sequence[Any]]:
    """The aggregates over what was inserted since a time, one row per table.

    insert_timestamp is in no index; the parts' times are, and an insert makes a part: old ones are not opened.
    """
    queries = [
        f"SELECT '{table}', {aggregates} FROM {_DATABASE}.{quoted(table)} "  # noqa: S608  names are the registry's
        "WHERE insert_timestamp >= {since:DateTime64(3, 'UTC')} AND _part IN (SELECT name FROM system.parts "
        f"WHERE active AND database = '{_DATABASE}' AND table = '{table}' "
        "AND modification_time >= {since:DateTime64(3, 'UTC')})"
        for table in tables
    ]
    if not queries:
        return []
    return clickhouse.rows(" UNION ALL ".join(queries), {"since": since})
