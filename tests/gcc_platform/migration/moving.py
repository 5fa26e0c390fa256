"""A migration on the tests' servers: its steps as they are called, and what is there afterwards."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from gcc_platform.migration import backfill, legacy_database, state
from gcc_platform.migration.backfill import Backfill
from gcc_platform.migration.copied_rows import Pace
from gcc_platform.migration.gates import checked, results
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity import daily_totals, dual_rows, looks, rows, sealing, totals
from gcc_platform.migration.parity.bisecting import Difference, Sides
from gcc_platform.migration.parity.daily_totals import Compared
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.sealing import DoneChunk, Sealed
from gcc_platform.migration.parity.totals import Days, Mismatch
from gcc_platform.migration.reverse.arrivals import OVERLAP, Arrivals
from gcc_platform.migration.reverse.writer import ReverseWriter, Written
from gcc_platform.migration.series_tables import SERIES_TABLES
from gcc_platform.migration.tail import Tail
from ingest_service.clickhouse.client import connected
from tests.harness.running import query

Row = Mapping[str, Any]
TABLES = {**LEGACY_TABLES, **SERIES_TABLES}


class Moving:
    """One old database and the platform's servers."""

    def __init__(self, stack: Mapping[str, str], legacy_url: str, database: Database | None = None) -> None:
        self.legacy_url = legacy_url
        self.state_url = stack["GCC_MIGRATION_POSTGRES_URL"]
        self.clickhouse_url = stack["GCC_MIGRATION_CLICKHOUSE_URL"]
        self.ingest_url = stack["CLICKHOUSE_URL"]
        self.database = database or Database()

    def forget(self) -> None:
        """Begin again, with empty raw tables."""
        with psycopg.connect(self.state_url, autocommit=True) as own:
            tables = own.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'migration'").fetchall()
            for (name,) in tables:
                own.execute(f"TRUNCATE migration.{name}".encode())
        for each in LEGACY_TABLES.values():
            query(self.ingest_url, f"TRUNCATE TABLE {each.raw_table}")
        query(self.ingest_url, "TRUNCATE TABLE _e.dead_letter_events")

    def note(self, sql: str) -> None:
        """Change the state."""
        with psycopg.connect(self.state_url, autocommit=True) as own:
            own.execute(sql.encode())

    def agree_on_marts(self, table: str) -> None:
        """As a comparison of the marts records it that found no difference."""
        asyncio.run(self._record(table, checked.marts_agree([], 7)))

    async def _record(self, table: str, result: GateResult) -> None:
        async with state.connected(self.state_url) as own:
            await results.record(own, table, [result])

    def prepare(self, *tables: str) -> None:
        asyncio.run(self._prepare(tables))

    async def _prepare(self, tables: Sequence[str]) -> None:
        async with legacy_database.writing(self.legacy_url) as old, state.connected(self.state_url) as own:
            await state.create(own)
            for name in tables:
                await legacy_database.prepare(old, LEGACY_TABLES[name])

    def plan(self, table: str, width: int = 1000) -> int:
        return asyncio.run(self._plan(table, width))

    async def _plan(self, table: str, width: int) -> int:
        async with legacy_database.reading(self.legacy_url) as old, state.connected(self.state_url) as own:
            await state.create(own)
            return await backfill.plan(old, own, TABLES[table], width, lambda: None)

    def backfill(self, *tables: str, workers: int = 1, rate: float | None = None) -> None:
        asyncio.run(self._backfill(tables, workers, rate))

    async def _backfill(self, tables: Sequence[str], workers: int, rate: float | None) -> None:
        async with connected(self.clickhouse_url, 60) as clickhouse:
            await Backfill(self.legacy_url, self.state_url, clickhouse, self.database, Pace(rate), lambda *_: None).run(
                [TABLES[name] for name in tables], workers
            )

    def poll(self, table: str) -> int:
        """One poll of the tail; the rows it took."""
        return asyncio.run(self._poll(table))

    async def _poll(self, table: str) -> int:
        async with AsyncExitStack() as open_:
            enter = open_.enter_async_context
            tail = Tail(
                await enter(state.connected(self.state_url)),
                await enter(legacy_database.reading(self.legacy_url)),
                await enter(legacy_database.reading(self.legacy_url)),
                await enter(connected(self.clickhouse_url, 60)),
                LEGACY_TABLES[table],
                self.database,
            )
            return await tail.poll()

    def reverse(self, table: str) -> Written:
        """One poll of a reverse writer that remembers nothing."""
        with self.reversing(table) as poll:
            return poll()

    @contextmanager
    def reversing(self, table: str, most: int = 5_000, overlap: timedelta = OVERLAP) -> Iterator[Callable[[], Written]]:
        """Polls of one reverse writer."""
        with asyncio.Runner() as runner:
            open_ = AsyncExitStack()
            writer = runner.run(self._reverse_writer(open_, table, most, overlap))
            try:
                yield lambda: runner.run(writer.poll())
            finally:
                runner.run(open_.aclose())

    def retry_refused(self, table: str) -> Written:
        """What a reverse writer does once at its start."""
        with asyncio.Runner() as runner:
            open_ = AsyncExitStack()
            writer = runner.run(self._reverse_writer(open_, table, 5_000, OVERLAP))
            try:
                return runner.run(writer.retry())
            finally:
                runner.run(open_.aclose())

    async def _reverse_writer(self, open_: AsyncExitStack, table: str, most: int, overlap: timedelta) -> ReverseWriter:
        enter = open_.enter_async_context
        clickhouse = await enter(connected(self.clickhouse_url, 60))
        return ReverseWriter(
            await enter(state.connected(self.state_url)),
            await enter(legacy_database.writing(self.legacy_url)),
            LEGACY_TABLES[table],
            self.database,
            Arrivals(clickhouse, LEGACY_TABLES[table], most, overlap),
        )

    def minutes_ago(self, minutes: int) -> str:
        """By ClickHouse's clock."""
        return query(self.ingest_url, f"SELECT now64(3, 'UTC') - INTERVAL {minutes} MINUTE").strip()

    def seal(self, table: str) -> Sealed:
        return asyncio.run(self._seal(table))

    async def _seal(self, table: str) -> Sealed:
        async with state.connected(self.state_url) as own, connected(self.clickhouse_url, 60) as clickhouse:
            return await sealing.seal(own, clickhouse, LEGACY_TABLES[table], self.database)

    def nightly_totals(self, table: str, *, until: date | None = None, every_day: bool = False) -> Compared:
        return asyncio.run(self._nightly_totals(table, until or datetime.now(UTC).date(), every_day))

    async def _nightly_totals(self, table: str, until: date, every_day: bool) -> Compared:
        async with (
            state.connected(self.state_url) as own,
            legacy_database.reading(self.legacy_url) as old,
            connected(self.clickhouse_url, 60) as clickhouse,
        ):
            await state.create(own)
            sides = Sides(old, clickhouse, LEGACY_TABLES[table], self.database)
            return await daily_totals.compare(own, sides, until, every_day=every_day)

    def check(self, table: str, *, deep: bool = False, everything: bool = False) -> Checked:
        return asyncio.run(self._check(table, deep, everything))

    async def _check(self, table: str, deep: bool, everything: bool) -> Checked:
        async with (
            state.connected(self.state_url) as own,
            legacy_database.reading(self.legacy_url) as old,
            connected(self.clickhouse_url, 60) as clickhouse,
        ):
            sides = Sides(old, clickhouse, LEGACY_TABLES[table], self.database)
            return await rows.check(own, sides, deep=deep, everything=everything)

    def repair(self, table: str) -> int:
        return asyncio.run(self._repair(table))

    async def _repair(self, table: str) -> int:
        async with (
            state.connected(self.state_url) as own,
            legacy_database.reading(self.legacy_url) as old,
            connected(self.clickhouse_url, 60) as clickhouse,
        ):
            return await rows.repair(own, Sides(old, clickhouse, LEGACY_TABLES[table], self.database))

    def first_id_of(self, table: str, day: date) -> int:
        return asyncio.run(self._first_id_of(table, day))

    async def _first_id_of(self, table: str, day: date) -> int:
        async with state.connected(self.state_url) as own:
            return await looks.first_id_of(own, LEGACY_TABLES[table], day)

    def verify(self, table: str, *, every_chunk: bool = True) -> Sealed:
        return asyncio.run(self._verify(table, every_chunk))

    async def _verify(self, table: str, every_chunk: bool) -> Sealed:
        async with state.connected(self.state_url) as own, connected(self.clickhouse_url, 60) as clickhouse:
            return await sealing.verify(own, clickhouse, LEGACY_TABLES[table], self.database, every_chunk=every_chunk)

    def differences(self, table: str, chunk: DoneChunk) -> Sequence[Difference]:
        return asyncio.run(self._differences(table, chunk))

    async def _differences(self, table: str, chunk: DoneChunk) -> Sequence[Difference]:
        async with legacy_database.reading(self.legacy_url) as old, connected(self.clickhouse_url, 60) as clickhouse:
            return await Sides(old, clickhouse, LEGACY_TABLES[table], self.database).differences(chunk)

    def dual_rows(self, table: str, day: date, spooled: Sequence[str] = ()) -> Day:
        return asyncio.run(self._dual_rows(table, day, spooled))

    async def _dual_rows(self, table: str, day: date, spooled: Sequence[str]) -> Day:
        async with legacy_database.reading(self.legacy_url) as old, connected(self.clickhouse_url, 60) as clickhouse:
            return await dual_rows.compare(Sides(old, clickhouse, LEGACY_TABLES[table], self.database), day, spooled)

    def totals(self, table: str) -> Sequence[Mismatch]:
        """Of all days."""
        return asyncio.run(self._totals(table))

    async def _totals(self, table: str) -> Sequence[Mismatch]:
        until = datetime.now(UTC).date() + timedelta(days=1)
        async with legacy_database.reading(self.legacy_url) as old, connected(self.clickhouse_url, 60) as clickhouse:
            _, found = await totals.compare(old, clickhouse, LEGACY_TABLES[table], self.database, Days(until))
            return found

    def stored(self, table: str, columns: str = "*") -> list[dict[str, Any]]:
        """The rows of the raw table, by event_id."""
        raw = TABLES[table].raw_table
        text = query(
            self.ingest_url,
            f"SELECT {columns} FROM {raw} FINAL ORDER BY event_id "
            "SETTINGS output_format_json_quote_64bit_integers = 0 FORMAT JSONEachRow",
        )
        return [json.loads(line) for line in text.split("\n") if line]

    def noted(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query on the state finds."""
        with psycopg.connect(self.state_url, autocommit=True) as own:
            return own.execute(sql.encode()).fetchall()
