"""What has arrived in a raw table since a time, without what came from the old table itself.

A row's insert_timestamp is taken before its insert is visible. So the last minutes are looked at again each time, but
only minutes in which something has changed are read again. A merge changes a minute too, which costs another read of
it: it removes copies of an event, of which the newest stays, in its own minute.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from gcc_platform.migration import identity
from gcc_platform.migration.legacy_table import LegacyTable
from ingest_service.clickhouse.client import ClickHouse

OVERLAP = timedelta(minutes=10)
"""Longer than inserts may take, and clocks of ClickHouse's servers differ."""


def overlap(insert_seconds: float) -> timedelta:
    """How long after its insert_timestamp a row may become visible, with inserts that may take this long.

    Twice as long: an insert whose client has given it up may still succeed.
    """
    return max(OVERLAP, timedelta(seconds=2 * insert_seconds))


@dataclass
class Arrivals:
    """The arrivals of one table. It remembers what the last minutes had."""

    clickhouse: ClickHouse
    table: LegacyTable
    most: int = 5_000
    """Events of one batch."""
    overlap: timedelta = OVERLAP
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Rows and a sum of their ids, by minute."""

    async def now(self) -> datetime:
        """By ClickHouse's clock. Raises ClickHouseUnavailable."""
        [now] = await self.clickhouse.column("SELECT toString(now64(3, 'UTC'))")
        return datetime.fromisoformat(f"{now}+00:00")

    async def since(self, arrived: datetime) -> AsyncIterator[Sequence[bytes]]:
        """Batches of events, as JSON objects, that arrived since a time less the overlap; by minute, then by time.

        What was yielded counts as taken when all has been: a reader that fails is given it again. Raises
        ClickHouseUnavailable.
        """
        first = int(max(0.0, (arrived - self.overlap).timestamp())) // 60
        now = await self._minutes(first)
        for minute in sorted(now):
            if self._known.get(minute) != now[minute]:
                async for batch in self._of_minute(minute):
                    yield batch
        self._known = now

    async def with_ids(self, event_ids: Sequence[UUID]) -> Sequence[bytes]:
        """The events of these ids that are there. Raises ClickHouseUnavailable."""
        return await self._select("event_id IN {ids:Array(UUID)}", {"ids": [str(each) for each in event_ids]})

    async def _minutes(self, first: int) -> dict[int, tuple[int, int]]:
        rows = await self.clickhouse.rows(
            f"""SELECT intDiv(toUnixTimestamp(insert_timestamp), 60) AS minute, count() AS rows,
                sum(cityHash64(event_id)) AS ids
            FROM {self.table.raw_table}
            WHERE insert_timestamp >= toDateTime64({{first:Int64}} * 60, 3, 'UTC') AND NOT ({identity.MADE})
            GROUP BY minute""",
            {"first": first},
        )
        found: list[Mapping[str, int]] = [json.loads(row) for row in rows]
        return {each["minute"]: (each["rows"], each["ids"]) for each in found}

    async def _of_minute(self, minute: int) -> AsyncIterator[Sequence[bytes]]:
        """In the order of the events' times, which rows and their ids get as well: readers page by id."""
        at, after = "1900-01-01 00:00:00", ""
        while True:
            batch = await self._select(
                f"""insert_timestamp >= toDateTime64({{minute:Int64}} * 60, 3, 'UTC')
                    AND insert_timestamp < toDateTime64(({{minute:Int64}} + 1) * 60, 3, 'UTC')
                    AND NOT ({identity.MADE})
                    AND (event_timestamp, toString(event_id))
                        > (toDateTime64({{at:String}}, 6, 'UTC'), {{after:String}})
                ORDER BY event_timestamp, toString(event_id) LIMIT {{most:UInt64}}""",
                {"minute": minute, "at": at, "after": after, "most": self.most},
            )
            if batch:
                yield batch
            if len(batch) < self.most:
                return
            last = json.loads(batch[-1].decode(errors="replace"))
            at, after = last["event_timestamp"], last["event_id"]

    async def _select(self, condition: str, parameters: dict[str, object]) -> list[bytes]:
        columns = ", ".join(self.table.event_columns)
        return await self.clickhouse.rows(
            f"SELECT {columns} FROM {self.table.raw_table} WHERE {condition} "
            "SETTINGS date_time_output_format = 'simple'",
            parameters,
        )
