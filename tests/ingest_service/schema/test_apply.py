import asyncio
from collections.abc import Mapping
from pathlib import Path

from ingest_service.clickhouse.client import connected
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.apply import apply
from ingest_service.schema.dialect import Dialect
from ingest_service.schema.inventory import LEDGER_VIEWS, TABLES
from tests.harness.running import query

TABLE = "CREATE TABLE IF NOT EXISTS _e.x_events $on_cluster (a Int8) ENGINE = $replacing_merge_tree ORDER BY a"


def test_a_cluster_gets_replicated_engines_everywhere_and_a_single_server_does_not() -> None:
    assert "ON CLUSTER 'main'" in Dialect("main").statement(TABLE)
    assert "ENGINE = ReplicatedReplacingMergeTree" in Dialect("main").statement(TABLE)
    assert "ON CLUSTER" not in Dialect(None).statement(TABLE)
    assert "ENGINE = ReplacingMergeTree" in Dialect(None).statement(TABLE)


def test_a_table_chooses_whether_acknowledged_means_on_disk() -> None:
    assert "fsync_after_insert = 1" in Dialect(None).statement("SETTINGS $settings")
    assert "fsync" not in Dialect(None).statement("SETTINGS $unsynced_settings")
    for settings in ("$settings", "$unsynced_settings"):
        assert "non_replicated_deduplication_window = 1000" in Dialect(None).statement(settings)


def test_a_numbered_change_is_applied_once_and_in_order(initialised: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "9002_second.sql").write_text(
        "ALTER TABLE _e.order_log_events $on_cluster ADD COLUMN b Int8 AFTER a_new"
    )
    (tmp_path / "9001_first.sql").write_text("ALTER TABLE _e.order_log_events $on_cluster ADD COLUMN a_new Int8")
    url = initialised["CLICKHOUSE_URL"]

    try:
        assert asyncio.run(applied(url, tmp_path)) == ["9001_first", "9002_second"]
        assert asyncio.run(applied(url, tmp_path)) == []
    finally:
        for statement in (
            "ALTER TABLE _e.order_log_events DROP COLUMN b, DROP COLUMN a_new",
            "ALTER TABLE _e.schema_changes DELETE WHERE name LIKE '900%' SETTINGS mutations_sync = 1",
        ):
            query(url, statement)


def test_a_change_that_names_no_table_of_its_own_is_applied_to_every_raw_table(
    initialised: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "9003_every_table.sql").write_text("ALTER TABLE $table $on_cluster ADD COLUMN IF NOT EXISTS z Int8")
    url = initialised["CLICKHOUSE_URL"]
    changed = "SELECT count() FROM system.columns WHERE database = '_e' AND name = 'z'"
    try:
        assert asyncio.run(applied(url, tmp_path)) == ["9003_every_table"]
        assert int(query(url, changed)) == len(EVENT_TYPES)
        assert asyncio.run(applied(url, tmp_path)) == []
    finally:
        for each in EVENT_TYPES.values():
            query(url, f"ALTER TABLE {each.table} DROP COLUMN IF EXISTS z")
        query(url, "ALTER TABLE _e.schema_changes DELETE WHERE name LIKE '900%' SETTINGS mutations_sync = 1")


def test_an_installation_that_applied_the_changes_table_by_table_is_brought_to_the_same_state(
    initialised: Mapping[str, str],
) -> None:
    url = initialised["CLICKHOUSE_URL"]
    indices = "SELECT count() FROM system.data_skipping_indices WHERE database = '_e' AND name = 'arrival'"
    query(url, "ALTER TABLE _e.order_log_events DROP INDEX arrival")
    query(url, "TRUNCATE TABLE _e.schema_changes")
    query(url, "INSERT INTO _e.schema_changes (name) VALUES ('0001_arrival_index_of_affiliate_order_events')")
    assert asyncio.run(applied(url)) == ["0001_arrival_index"]
    assert int(query(url, indices)) == len(EVENT_TYPES)


def test_the_inventory_is_what_a_new_installation_has(initialised: Mapping[str, str]) -> None:
    names = query(initialised["CLICKHOUSE_URL"], "SELECT name FROM system.tables WHERE database = '_e'").split()
    assert {f"_e.{name}" for name in names} == {*TABLES, *LEDGER_VIEWS}


async def applied(url: str, *changes: Path) -> list[str]:
    async with connected(url, 30) as clickhouse:
        return await apply(clickhouse, None, *changes)
