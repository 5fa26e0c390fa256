"""What has arrived in a raw table since a time, without what came from the old table itself.

A row's insert_timestamp is taken before its insert is visible. So the last minutes are looked at again each time, but
only minutes in which something has changed are read again.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gcc_platform.migration import identity
from gcc_platform.migration.legacy_table import LegacyTable
from ingest_service.clickhouse.client import ClickHouse

OVERLAP = timedelta(minutes=10)
"""Longer than an insert may take: GCC_INSERT_TIMEOUT_SECONDS."""

_COLUMNS = ("event_id", "event_timestamp", "extra")


@dataclass
class Arrivals:
    """The arrivals of one table. It remembers what the last minutes had."""

    clickhouse: ClickHouse
    table: LegacyTable
    most: int = 20_000
    """Events of one batch."""
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Rows and a sum of their ids, by minute."""

    async def now(self) -> datetime:
        """By ClickHouse's clock. Raises ClickHouseUnavailable."""
        [now] = await self.clickhouse.column("SELECT toString(now64(3, 'UTC'))")
        return datetime.fromisoformat(f"{now}+00:00")

    async def since(self, arrived: datetime) -> AsyncIterator[Sequence[bytes]]:
        """Batches of events, as JSON objects, that arrived since a time less the overlap.

        A batch counts as taken when the next one is asked for. Raises ClickHouseUnavailable.
        """
        first = int((arrived - OVERLAP).timestamp()) // 60 if arrived.timestamp() > OVERLAP.total_seconds() else 0
        now = await self._minutes(first)
        for minute in sorted(now):
            if self._known.get(minute) != now[minute]:
                async for batch in self._of_minute(minute):
                    yield batch
        self._known = now

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
        columns = ", ".join((*_COLUMNS, *self.table.columns))
        after = ""
        while True:
            batch = await self.clickhouse.rows(
                f"""SELECT {columns} FROM {self.table.raw_table}
                WHERE insert_timestamp >= toDateTime64({{minute:Int64}} * 60, 3, 'UTC')
                    AND insert_timestamp < toDateTime64(({{minute:Int64}} + 1) * 60, 3, 'UTC')
                    AND NOT ({identity.MADE}) AND toString(event_id) > {{after:String}}
                ORDER BY toString(event_id) LIMIT {{most:UInt64}}
                SETTINGS date_time_output_format = 'simple'""",
                {"minute": minute, "after": after, "most": self.most},
            )
            if batch:
                yield batch
            if len(batch) < self.most:
                return
            after = str(json.loads(batch[-1])["event_id"])
