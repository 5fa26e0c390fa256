"""An old log table, and how its rows become events: SQL that PostgreSQL runs, in the shape of the raw table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gcc_platform.migration import identity
from gcc_platform.migration.json_lists import objects
from ingest_service.events.registry import EVENT_TYPES

EARLIEST = "2005-01-01"
"""No crawler is older: an earlier time is a mistake, and would make a partition of its own for each month."""


@dataclass(frozen=True)
class Database:
    """What is particular to one old database."""

    zones: Mapping[str, str] = field(default_factory=dict)
    """The time zone of the naive times, by table: that of the crawlers' clocks. UTC for others."""
    number: int = 0
    """Distinguishes databases whose tables have the same ids."""

    def zone(self, table: str) -> str:
        """The time zone of a table."""
        return self.zones.get(table, "UTC")


DERIVED = ("handle", "publish_time")
"""Columns of events that are made from the row's dimensions: an event may have them without."""


@dataclass(frozen=True)
class LegacyTable:
    """An old table and the event type that its rows become.

    SQL is over `r`, the row, and `of_NAME.NAME`, the object of a list. Times are `time_of(column)`.
    """

    name: str
    number: int
    """For ever: it is in the event_ids."""
    event_type: str
    columns: Mapping[str, str]
    """The event's columns besides event_id, event_timestamp and extra, with the SQL of each."""
    required: tuple[str, ...]
    """Columns of the row that an event cannot do without."""
    lists: tuple[str, ...] = ("metrics", "dimensions")
    """Columns of the row that are lists of pairs."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """What else is kept in the event's `extra`, with the SQL of each."""
    time: str = "timestamp"
    """The column of the row that is the event's time, without a zone."""
    is_queue: bool = False
    """Whether it is the crawlers' queue of work, which stays theirs: its live events are not its rows."""
    complete: str | None = None
    """Of a table whose rows are updated: which of them are final. The others are taken when they are."""
    log: str | None = None
    """Of a table of series: the log that is made of the same objects, and whose times are in the same zone."""
    rows: str | None = None
    """A query for the rows, if they are not all those of the table."""

    @property
    def raw_table(self) -> str:
        """The table in ClickHouse, with its database."""
        return EVENT_TYPES[self.event_type].table

    @property
    def event_columns(self) -> tuple[str, ...]:
        """The columns of `events_sql`, which the raw table has."""
        return ("event_id", "event_timestamp", *self.columns, "extra")

    def events_sql(self, database: Database, where: str, *, has_event_id: bool = True) -> str:
        """A query for the complete and valid rows of a condition as events, with their `id` as the first column.

        `has_event_id`: the old table has the column event_id. Without it, all event_ids are made from the rows' ids.
        """
        made = f"('{identity.prefix(self.number, database.number)}' || lpad(to_hex(r.id), 12, '0'))::uuid"
        sql = {
            "event_id": f"coalesce(r.event_id, {made})" if has_event_id else made,
            "event_timestamp": f"r.{self.time} AT TIME ZONE $zone",
            **self.columns,
            "extra": self._extra_sql(),
        }
        select = ", ".join(f"{expression} AS {column}" for column, expression in sql.items())
        query = f"""SELECT r.id, {select}
            FROM {self._rows()} AS r {objects({column: f"r.{column}" for column in self.lists})}
            WHERE ({where}) AND {self.complete or "true"} AND {self._valid_sql()}"""
        return self._in_zone(query, database)

    def rejected_sql(self, database: Database, where: str) -> str:
        """A query for the id, reason and content of the complete rows of a condition that cannot be events."""
        query = f"""SELECT r.id, {self._reason_sql()}, to_jsonb(r)::text
            FROM {self._rows()} AS r WHERE ({where}) AND {self.complete or "true"} AND NOT ({self._valid_sql()})"""
        return self._in_zone(query, database)

    def days_sql(self, database: Database, where: str) -> str:
        """A query for the days, by the connection's zone, of the rows of a condition that have a plausible time."""
        query = f"""SELECT DISTINCT (r.{self.time} AT TIME ZONE $zone)::date
            FROM {self._rows()} AS r WHERE ({where}) AND {self._plausible_sql()}"""
        return self._in_zone(query, database)

    def _rows(self) -> str:
        """What `r` is."""
        return f"({self.rows})" if self.rows else self.name

    def _in_zone(self, query: str, database: Database) -> str:
        return query.replace("$zone", quoted(database.zone(self.log or self.name)))

    def _valid_sql(self) -> str:
        """Which rows can be events."""
        present = "".join(f" AND r.{column} IS NOT NULL" for column in self.required)
        return f"{self._plausible_sql()}{present}"

    def _plausible_sql(self) -> str:
        latest = "now() AT TIME ZONE $zone + interval '1 day'"
        return f"coalesce(r.{self.time} BETWEEN '{EARLIEST}' AND {latest}, false)"

    def _reason_sql(self) -> str:
        """Why a row that is not valid cannot be an event."""
        absent = " OR ".join(f"r.{column} IS NULL" for column in self.required)
        return f"""CASE WHEN {absent} THEN 'missing_field'
            WHEN r.{self.time} IS NULL OR NOT isfinite(r.{self.time}) THEN 'no_time'
            ELSE 'implausible_time' END"""

    def _extra_sql(self) -> str:
        parts = [
            f"CASE WHEN {expression} IS NULL THEN '{{}}' ELSE jsonb_build_object('{name}', {expression}) END"
            for name, expression in self.extra.items()
        ]
        parts += [
            f"CASE WHEN {column}_is_odd THEN jsonb_build_object('{column}', r.{column}) ELSE '{{}}' END"
            for column in self.lists
        ]
        return " || ".join(f"({part})::jsonb" for part in parts or ["'{}'"])


def time_of(column: str) -> str:
    """A naive time of the row as a time; NULL if ClickHouse could not keep it."""
    return f"CASE WHEN {column} BETWEEN '1970-01-01' AND '2200-01-01' THEN {column} AT TIME ZONE $zone END"


def quoted(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
