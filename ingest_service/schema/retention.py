"""Sets, changes and removes the TTL of the raw tables as GCC_RAW_TTL_DAYS asks; a TTL that others set is not touched.

The age of a row is the time since its insert, not since its event: a late or replayed event would otherwise be deleted
before the warehouse has read it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ingest_service.clickhouse.client import ClickHouse
from ingest_service.errors import UserError
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.dialect import Dialect
from ingest_service.schema.inventory import DATABASE

Days = Mapping[str, int | None]
"""By table. None: rows are kept for ever."""

# A part is dropped when all of its rows are too old. It is not rewritten to delete some of them, neither later nor when
# the TTL is changed. A merge that takes place anyway leaves old rows out.
_SETTINGS = {"ttl_only_drop_parts": 1, "materialize_ttl_recalculate_only": 1}

_OURS = re.compile(r"toDateTime\(insert_timestamp\) \+ toIntervalDay\(\d+\)")
_TTL = re.compile(r" TTL (.*?)(?: SETTINGS |$)", re.DOTALL)
_ENGINES = f"SELECT name, engine_full FROM system.tables WHERE database = '{DATABASE}'"  # noqa: S608  a constant


class BadRetention(UserError):
    """What the settings ask for cannot be done; nothing was changed."""

    exit_code = 2


@dataclass(frozen=True)
class _Present:
    """What a table has now."""

    ttl: str
    settings: str

    @classmethod
    def of(cls, engine: str) -> "_Present":
        found = _TTL.search(engine)
        return cls(found[1] if found else "", engine.partition(" SETTINGS ")[2])

    @property
    def has_ours(self) -> bool:
        return _OURS.fullmatch(self.ttl) is not None

    @property
    def has_settings(self) -> bool:
        return all(f"{name} = {value}" in self.settings for name, value in _SETTINGS.items())


def days_by_table(days: int | None, by_type: Mapping[str, int]) -> Days:
    """The days of each raw table: its type's own, else those of all; 0 is None.

    Raises BadRetention for an unknown event type.
    """
    if unknown := by_type.keys() - EVENT_TYPES.keys():
        raise BadRetention(
            f"GCC_RAW_TTL_DAYS_BY_TYPE names {', '.join(sorted(unknown))}, which is not an event type;"
            f" there are {', '.join(EVENT_TYPES)}"
        )
    return {each.table: by_type.get(each.name, days) or None for each in EVENT_TYPES.values()}


async def apply(clickhouse: ClickHouse, cluster: str | None, days: Days) -> list[str]:
    """Give each table its TTL; returns the tables that were altered now.

    Raises BadRetention, before any table is altered, and ClickHouseUnavailable.
    """
    rows = [json.loads(row) for row in await clickhouse.rows(_ENGINES)]
    present = {f"{DATABASE}.{row['name']}": _Present.of(row["engine_full"]) for row in rows}
    statements = {table: _statements(table, present[table], wanted) for table, wanted in days.items()}
    dialect = Dialect(cluster)
    for alters in statements.values():
        for each in alters:
            await clickhouse.command(dialect.statement(each))
    return [table for table, alters in statements.items() if alters]


def _statements(table: str, present: _Present, days: int | None) -> list[str]:
    """The settings come first and go last: with a TTL and without them, parts are rewritten to delete single rows."""
    alter = f"ALTER TABLE {table} $on_cluster"
    if days is None:
        return [f"{alter} REMOVE TTL", f"{alter} RESET SETTING {', '.join(_SETTINGS)}"] if present.has_ours else []
    if present.ttl and not present.has_ours:
        raise BadRetention(
            f"{table} has a TTL that gcc-ingest did not set: {present.ttl}. Remove it (ALTER TABLE {table} REMOVE TTL),"
            " or exclude this type: GCC_RAW_TTL_DAYS_BY_TYPE with 0"
        )
    wanted = f"toDateTime(insert_timestamp) + toIntervalDay({days})"
    settings = f"{alter} MODIFY SETTING {', '.join(f'{name} = {value}' for name, value in _SETTINGS.items())}"
    return ([] if present.has_settings else [settings]) + (
        [] if present.ttl == wanted else [f"{alter} MODIFY TTL {wanted}"]
    )
