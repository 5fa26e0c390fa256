"""A witness inside the old database: each Instagram row of a log has its row in a table of series, and the other way.

Both were made of one object in one transaction, with one time. So a row that only one of them has was lost or deleted
there, which no comparison with ClickHouse shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection


@dataclass(frozen=True)
class Series:
    """A table of series, and the columns that name what its row is about, here and in the log."""

    name: str
    key: str
    key_in_log: str


SERIES: Mapping[str, Series] = {
    "profile_log": Series("insta_account_ts", "profile_id", "profile_id"),
    "post_log": Series("insta_post_ts", "shortcode", "platform_post_id"),
}
"""By log."""


@dataclass(frozen=True)
class Witness:
    """What a log and its table of series have of some days."""

    series: str
    log_rows: int
    series_rows: int
    only_in_log: int
    only_in_series: int

    @property
    def agrees(self) -> bool:
        """Whether each row has its counterpart. Where no series were written at all, there is no witness."""
        return not self.series_rows or not (self.only_in_log or self.only_in_series)


async def compare(old: Connection, table: LegacyTable, database: Database, first: date, until: date) -> Witness | None:
    """Compare the days from `first` to the one before `until`, by UTC; None if there is no such table of series.

    Rows are counted, not only found: two rows of one account and time are two on the other side. Raises psycopg.Error.
    """
    series = SERIES.get(table.name)
    if series is None or not await _exists(old, series.name):
        return None
    found = await old.execute(
        _query(table, series).encode(),
        {"zone": database.zone(table.name), "first": f"{first} 00:00+00", "until": f"{until} 00:00+00"},
    )
    row = await found.fetchone()
    assert row is not None
    return Witness(series.name, *map(int, row))


def _query(table: LegacyTable, series: Series) -> str:
    of_days = (
        "timestamp >= %(first)s::timestamptz AT TIME ZONE %(zone)s "
        "AND timestamp < %(until)s::timestamptz AT TIME ZONE %(zone)s"
    )
    return f"""SELECT coalesce(sum(l.rows), 0), coalesce(sum(s.rows), 0),
        coalesce(sum(greatest(coalesce(l.rows, 0) - coalesce(s.rows, 0), 0)), 0),
        coalesce(sum(greatest(coalesce(s.rows, 0) - coalesce(l.rows, 0), 0)), 0)
    FROM (SELECT {series.key_in_log} AS key, timestamp, count(*) AS rows FROM {table.name}
        WHERE platform = 'INSTAGRAM' AND {series.key_in_log} IS NOT NULL AND {of_days} GROUP BY 1, 2) AS l
    FULL JOIN (SELECT {series.key} AS key, timestamp, count(*) AS rows FROM {series.name}
        WHERE {of_days} GROUP BY 1, 2) AS s USING (key, timestamp)"""


async def _exists(old: Connection, name: str) -> bool:
    found = await (await old.execute("SELECT to_regclass(%s) IS NOT NULL", [name])).fetchone()
    return bool(found and found[0])
