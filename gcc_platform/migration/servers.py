"""What a migration connects to: the old database, the state, and ClickHouse."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gcc_platform.migration import legacy_database, state
from gcc_platform.migration.gates.measured import Measuring
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.parity.bisecting import Sides
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.series_tables import SERIES_TABLES
from gcc_platform.migration.settings import MigrationSettings
from ingest_service.clickhouse.client import ClickHouse, connected


@dataclass(frozen=True)
class Servers:
    """Open connections, and the settings they come from."""

    settings: MigrationSettings
    database: Database
    old: Connection
    state: Connection
    clickhouse: ClickHouse

    async def tables(self, names: Sequence[str]) -> Sequence[LegacyTable]:
        """The named old tables, or all that there are."""
        return [LEGACY_TABLES[name] for name in names] or await legacy_database.present(self.old)

    async def tables_and_series(self, names: Sequence[str]) -> tuple[Sequence[LegacyTable], Sequence[LegacyTable]]:
        """The named old tables, or all that there are: logs, and tables of series."""
        if names:
            logs = [LEGACY_TABLES[name] for name in names if name in LEGACY_TABLES]
            return logs, [SERIES_TABLES[name] for name in names if name in SERIES_TABLES]
        return await legacy_database.present(self.old), await legacy_database.present_series(self.old)

    def sides(self, table: LegacyTable) -> Sides:
        """A table in both engines."""
        return Sides(self.old, self.clickhouse, table, self.database, self.settings.grace_seconds)

    def measuring(self, table: LegacyTable) -> Measuring:
        """Where the gates of a table are measured."""
        return Measuring(self.state, self.sides(table))


@asynccontextmanager
async def connect(settings: MigrationSettings) -> AsyncIterator[Servers]:
    """Connect to the old database, the state and ClickHouse. Raises UserError with what is wrong."""
    database = settings.database
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(legacy_database.reading(settings.legacy))
        own = await stack.enter_async_context(state.connected(settings.state))
        await state.create(own)
        clickhouse = await stack.enter_async_context(connected(settings.clickhouse, settings.insert_seconds))
        await clickhouse.ping()
        yield Servers(settings, database, old, own, clickhouse)
