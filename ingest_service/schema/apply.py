"""Creates the raw tables and applies the numbered changes that were not applied yet; idempotent.

`tables/<name>_events.sql` defines a new table, and so do the files in `dead_letters/`. An existing table is altered by
`changes/NNNN_<what>.sql`: one statement each, without effect on a new table (`ADD COLUMN IF NOT EXISTS`). A change that
names `$table` is applied to every raw table. Applied changes are recorded in `_e.schema_changes`. `ledger/` has the
table of landed batches, and the view that feeds it from each raw table.
"""

from pathlib import Path

from ingest_service.clickhouse.client import ClickHouse
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.dialect import Dialect
from ingest_service.schema.inventory import CHANGES, DATABASE, HERE, RAW_TABLES, statements


async def apply(clickhouse: ClickHouse, cluster: str | None = None, changes: Path = HERE / "changes") -> list[str]:
    """Create missing tables and apply the changes; returns the names of those applied now.

    Raises ClickHouseUnavailable.
    """
    dialect = Dialect(cluster)
    await clickhouse.command(dialect.statement(f"CREATE DATABASE IF NOT EXISTS {DATABASE} $on_cluster"))
    for folder in ("tables", "dead_letters"):
        for sql in statements(HERE / folder).values():
            await clickhouse.command(dialect.statement(sql))
    ledger = statements(HERE / "ledger")
    await clickhouse.command(dialect.statement(ledger["ingest_batches"]))
    for event_type in EVENT_TYPES.values():
        names = {"name": event_type.name, "table": event_type.table}
        await clickhouse.command(dialect.statement(ledger["ingest_batches_of"], **names))
    return await _apply_changes(clickhouse, dialect, changes)


async def _apply_changes(clickhouse: ClickHouse, dialect: Dialect, folder: Path) -> list[str]:
    await clickhouse.command(
        dialect.statement(
            f"CREATE TABLE IF NOT EXISTS {CHANGES} $on_cluster"
            " (name String, applied_at DateTime DEFAULT now()) ENGINE = $merge_tree ORDER BY name"
        )
    )
    applied = await clickhouse.column(f"SELECT name FROM {CHANGES}")  # noqa: S608  a constant
    missing = {name: sql for name, sql in statements(folder).items() if name not in applied}
    for name, sql in missing.items():
        for table in RAW_TABLES if "$table" in sql else ("",):
            await clickhouse.command(dialect.statement(sql, table=table))
        await clickhouse.command(f"INSERT INTO {CHANGES} (name) VALUES ({{name:String}})", {"name": name})  # noqa: S608
    return list(missing)
