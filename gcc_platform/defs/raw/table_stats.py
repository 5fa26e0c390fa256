"""What has arrived in the raw tables since a time, from one query for all tables, which reads no older parts."""

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


def arrivals(clickhouse: ClickHouse, since: Mapping[dg.AssetKey, datetime]) -> Mapping[dg.AssetKey, Arrivals]:
    """The arrivals in each table since a time of its own. Omits tables that do not exist."""
    rows = _existing(clickhouse, since)
    slack = {key: max(since[key] - _SLACK, BEGINNING) for key in rows}
    found = _union(clickhouse, slack, "max(insert_timestamp), max(event_timestamp), count()")
    return {
        key: Arrivals(rows[key], newest_insert, newest_event) if count else Arrivals(rows[key], None, None)
        for key, (newest_insert, newest_event, count) in found.items()
    }


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

    The tables have a minmax index on insert_timestamp, so older parts are not read. Naming the newer parts by a
    subquery on system.parts would lose rows whenever a merge ends between the subquery and the scan.
    """
    queries = []
    for number, key in enumerate(since):
        table, after = key.path[-1], f"{{since_{number}:DateTime64(3, 'UTC')}}"
        queries.append(
            f"SELECT '{table}', {aggregates} FROM {_DATABASE}.{quoted(table)} "  # noqa: S608  names are the registry's
            f"WHERE insert_timestamp >= {after}"
        )
    if not queries:
        return {}
    parameters = {f"since_{number}": time for number, time in enumerate(since.values())}
    found = {row[0]: row[1:] for row in clickhouse.rows(" UNION ALL ".join(queries), parameters)}
    return {key: found[key.path[-1]] for key in since}
