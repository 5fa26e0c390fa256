"""The same cut through both sides: views of the raw tables with the events of a time, for marts that are compared.

Crawlers write all the while. So two builds can be equal only up to a time before which all has arrived on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gcc_platform.migration import identity, mirror
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.series_tables import SERIES_TABLES
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.events.registry import EVENT_TYPES

EVENTS = "migration_events"
"""The database of views of `_e`."""
ROWS = "migration_rows"
"""The database of views of `_legacy`; of `_e` for event types that no old table has."""

_OF_SERIES = " OR ".join(f"({identity.made_from(table.number)})" for table in SERIES_TABLES.values())
"""Rows whose log row PostgreSQL has deleted: it cannot build marts of them."""
_TIME = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True)
class Cut:
    """The events with since <= event_timestamp < until."""

    since: datetime
    until: datetime


async def make(clickhouse: ClickHouse, cut: Cut, tables: Sequence[LegacyTable]) -> None:
    """Make the views of all raw tables again; these tables are mirrored. Raises ClickHouseUnavailable."""
    mirrored = {table.raw_table for table in tables}
    for database in (EVENTS, ROWS):
        await clickhouse.command(f"DROP DATABASE IF EXISTS {database}")
        await clickhouse.command(f"CREATE DATABASE {database}")
        for event_type in EVENT_TYPES.values():
            name = event_type.table.partition(".")[2]
            source = (
                f"{mirror.DATABASE}.{name}" if database == ROWS and event_type.table in mirrored else event_type.table
            )
            await clickhouse.command(await _view(clickhouse, f"{database}.{name}", source, cut))


async def _view(clickhouse: ClickHouse, view: str, source: str, cut: Cut) -> str:
    # Not *: that leaves out the columns that the table computes.
    columns = await clickhouse.column(
        f"""SELECT name FROM system.columns WHERE concat(database, '.', table) = '{source}'
            AND default_kind NOT IN ('EPHEMERAL', 'ALIAS') ORDER BY position"""
    )
    return f"""CREATE VIEW {view} AS SELECT {", ".join(columns)} FROM {source}
        WHERE event_timestamp >= toDateTime64('{cut.since.strftime(_TIME)}', 6, 'UTC')
            AND event_timestamp < toDateTime64('{cut.until.strftime(_TIME)}', 6, 'UTC')
            AND NOT ({_OF_SERIES})"""
