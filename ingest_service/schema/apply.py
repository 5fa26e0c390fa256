"""Creates the raw tables and applies the numbered changes that were not applied yet; idempotent.

`tables/<name>_events.sql` is a table as it is created today, and so are those of dead letters in `dead_letters/`. A table
that exists elsewhere already is brought there by `changes/NNNN_<what>.sql`, one statement each, written so that it does
no harm to a table created today (`ADD COLUMN IF NOT EXISTS`). What was applied is recorded in `_e.schema_changes`.
`ledger/` has the table of landed batches, and the view that feeds it from each raw table.
"""

from pathlib import Path
from string import Template

from ingest_service.clickhouse.client import ClickHouse
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES

_HERE = Path(__file__).parent
_DEDUPLICATION_WINDOW = 1_000  # insert tokens the server remembers per table


def table_settings(cluster: str | None) -> dict[str, int]:
    """What a raw table is created with."""
    window = "replicated_deduplication_window" if cluster else "non_replicated_deduplication_window"
    return {window: _DEDUPLICATION_WINDOW, "fsync_after_insert": 1, "fsync_part_directory": 1}


def ledger_view(event_type: EventType) -> str:
    """The view that adds a type's inserts to the ledger."""
    return f"_e.ingest_batches_of_{event_type.name}"


class Dialect:
    """The words in which a single server and a cluster differ."""

    def __init__(self, cluster: str | None) -> None:
        settings = [f"{name} = {value}" for name, value in table_settings(cluster).items()]
        self._words = {
            "on_cluster": f"ON CLUSTER '{cluster}'" if cluster else "",
            "merge_tree": "ReplicatedMergeTree" if cluster else "MergeTree",
            "replacing_merge_tree": "ReplicatedReplacingMergeTree" if cluster else "ReplacingMergeTree",
            # A table chooses its durability. With `settings`, acknowledged means on disk. With `unsynced_settings`, it
            # means in the page cache: a crash of the machine, not of ClickHouse, loses the last seconds of it.
            "settings": ", ".join(settings),
            "unsynced_settings": ", ".join(each for each in settings if not each.startswith("fsync")),
        }

    def statement(self, sql: str, **words: str) -> str:
        """A file's SQL for this kind of server. Raises KeyError for a $word that does not exist."""
        return Template(sql).substitute(self._words, **words)


async def apply(clickhouse: ClickHouse, cluster: str | None = None, changes: Path = _HERE / "changes") -> list[str]:
    """Bring the database to where the files are; the names of the changes applied now.

    Raises ClickHouseUnavailable.
    """
    dialect = Dialect(cluster)
    await clickhouse.command(dialect.statement("CREATE DATABASE IF NOT EXISTS _e $on_cluster"))
    for folder in ("tables", "dead_letters"):
        for sql in _statements(_HERE / folder).values():
            await clickhouse.command(dialect.statement(sql))
    ledger = _statements(_HERE / "ledger")
    await clickhouse.command(dialect.statement(ledger["ingest_batches"]))
    for event_type in EVENT_TYPES.values():
        names = {"name": event_type.name, "table": event_type.table}
        await clickhouse.command(dialect.statement(ledger["ingest_batches_of"], **names))
    return await _apply_changes(clickhouse, dialect, changes)


async def _apply_changes(clickhouse: ClickHouse, dialect: Dialect, folder: Path) -> list[str]:
    await clickhouse.command(
        dialect.statement(
            "CREATE TABLE IF NOT EXISTS _e.schema_changes $on_cluster"
            " (name String, applied_at DateTime DEFAULT now()) ENGINE = $merge_tree ORDER BY name"
        )
    )
    done = await clickhouse.column("SELECT name FROM _e.schema_changes")
    missing = {name: sql for name, sql in _statements(folder).items() if name not in done}
    for name, sql in missing.items():
        await clickhouse.command(dialect.statement(sql))
        await clickhouse.command("INSERT INTO _e.schema_changes (name) VALUES ({name:String})", {"name": name})
    return list(missing)


def _statements(folder: Path) -> dict[str, str]:
    """The SQL of a folder's files by name, in order."""
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.sql"))}
