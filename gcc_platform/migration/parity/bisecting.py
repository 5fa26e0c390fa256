"""Which rows of a chunk differ between PostgreSQL and ClickHouse, and in which columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gcc_platform.migration import checksum, identity
from gcc_platform.migration.identity import Origin
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.parity.sealing import DoneChunk, Sum, within
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse

ONLY_IN_POSTGRES = "only in PostgreSQL"
ONLY_IN_CLICKHOUSE = "only in ClickHouse"
DIFFERS = "differs"
TWICE = "twice in ClickHouse"
UNDER_WAY = "under way"
"""The cause of a difference that will end by itself."""
_GROUP = 1000
"""Ids whose checksums are compared at once, before their rows are."""


@dataclass(frozen=True)
class Difference:
    """A row that is not the same on both sides."""

    event_id: UUID
    kind: str
    detail: str = ""
    """The columns, or what else is known."""
    cause: str | None = None


@dataclass(frozen=True)
class Sides:
    """One table in both engines."""

    old: Connection
    clickhouse: ClickHouse
    table: LegacyTable
    database: Database
    grace_seconds: int = 900
    """A crawler's event, or the row that the reverse writer makes of it, may be under way for this long."""

    async def differences(self, chunk: DoneChunk) -> Sequence[Difference]:
        """The rows that differ: checksums per thousand ids first, then the rows of those that differ.

        Raises psycopg.Error and ClickHouseUnavailable.
        """
        here, there = await self._groups_in_postgres(chunk), await self._groups_in_clickhouse(chunk)
        found: list[Difference] = []
        for group in sorted(group for group in here.keys() | there.keys() if here.get(group) != there.get(group)):
            first = chunk.first_id + group * _GROUP
            found += await self._of_group(first, min(chunk.last_id, first + _GROUP - 1))
        return found

    async def in_postgres(self, first_id: int, last_id: int) -> DoneChunk:
        """What PostgreSQL has now of a range of ids. Raises psycopg.Error."""
        query = f"""SELECT count(*), coalesce(sum({checksum.in_postgres(self.table)}), 0), min(event_timestamp),
            max(event_timestamp) FROM ({await self._events()} OFFSET 0) AS e"""
        found = await (await self.old.execute(query.encode(), {"first": first_id, "last": last_id})).fetchone()
        assert found is not None
        rows, total, earliest, latest = found
        return DoneChunk(first_id, last_id, Sum(int(rows), int(total)), earliest, latest)

    async def _of_group(self, first: int, last: int) -> Sequence[Difference]:
        here, there = await self._rows_in_postgres(first, last), await self._rows_in_clickhouse(first, last)
        return list(self._compare(here, there))

    def _compare(
        self, here: Mapping[int, Sequence[str]], there: Mapping[int, Mapping[str, Any]]
    ) -> Iterator[Difference]:
        for row_id in sorted(here.keys() | there.keys()):
            event_id = Origin(self.table.number, self.database.number, row_id).event_id()
            if row_id not in there:
                yield Difference(event_id, ONLY_IN_POSTGRES)
            elif row_id not in here:
                yield Difference(event_id, ONLY_IN_CLICKHOUSE, "deleted or changed in PostgreSQL since")
            elif there[row_id]["copies"] > 1:
                yield Difference(event_id, TWICE, f"with the times {there[row_id]['times']}")
            elif here[row_id] != there[row_id]["texts"]:
                columns = zip(self.table.event_columns, here[row_id], there[row_id]["texts"], strict=True)
                yield Difference(
                    event_id, DIFFERS, ", ".join(name for name, ours_, theirs in columns if ours_ != theirs)
                )

    async def _events(self) -> str:
        has_column = await has_event_id(self.old, self.table)
        where = "r.id BETWEEN %(first)s AND %(last)s" + (" AND r.event_id IS NULL" if has_column else "")
        return self.table.events_sql(self.database, where, has_event_id=has_column)

    async def _groups_in_postgres(self, chunk: DoneChunk) -> Mapping[int, tuple[int, int]]:
        query = f"""SELECT (id - %(first)s) / {_GROUP}, count(*), sum({checksum.in_postgres(self.table)})
            FROM ({await self._events()} OFFSET 0) AS e GROUP BY 1"""
        rows = await self.old.execute(query.encode(), {"first": chunk.first_id, "last": chunk.last_id})
        return {int(group): (int(count), int(total)) for group, count, total in await rows.fetchall()}

    async def _groups_in_clickhouse(self, chunk: DoneChunk) -> Mapping[int, tuple[int, int]]:
        where, parameters = within(self.table, self.database, chunk.first_id, chunk.last_id)
        rows = await self.clickhouse.rows(
            f"""SELECT intDiv(id - {{first_id:UInt64}}, {_GROUP}) AS part, count() AS rows, toString(sum(h)) AS total
            FROM (SELECT {identity.ID_OF_ROW} AS id, any({checksum.in_clickhouse(self.table)}) AS h
                FROM {self.table.raw_table} WHERE {where} GROUP BY id, event_timestamp) GROUP BY part""",
            parameters | {"first_id": chunk.first_id},
        )
        found = [json.loads(row) for row in rows]
        return {int(each["part"]): (int(each["rows"]), int(each["total"])) for each in found}

    async def _rows_in_postgres(self, first: int, last: int) -> Mapping[int, Sequence[str]]:
        query = f"SELECT id, {checksum.texts_in_postgres(self.table)} FROM ({await self._events()} OFFSET 0) AS e"
        rows = await self.old.execute(query.encode(), {"first": first, "last": last})
        return {row[0]: list(row[1:]) for row in await rows.fetchall()}

    async def _rows_in_clickhouse(self, first: int, last: int) -> Mapping[int, Mapping[str, Any]]:
        where, parameters = within(self.table, self.database, first, last)
        rows = await self.clickhouse.rows(
            f"""SELECT {identity.ID_OF_ROW} AS id, [{checksum.texts_in_clickhouse(self.table)}] AS texts,
                arrayStringConcat(arraySort(groupUniqArray(toString(event_timestamp))), ', ') AS times,
                uniqExact(event_timestamp) AS copies
            FROM {self.table.raw_table} WHERE {where} GROUP BY id""",
            parameters,
        )
        found = [json.loads(row) for row in rows]
        return {int(each["id"]): each for each in found}
