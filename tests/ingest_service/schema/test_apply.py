import asyncio
from collections.abc import Mapping
from pathlib import Path

from ingest_service.clickhouse.client import connected
from ingest_service.schema.apply import Dialect, apply
from tests.ingest_service.running import query

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

    async def twice() -> tuple[list[str], list[str]]:
        async with connected(url, 30) as clickhouse:
            return await apply(clickhouse, changes=tmp_path), await apply(clickhouse, changes=tmp_path)

    try:
        assert asyncio.run(twice()) == (["9001_first", "9002_second"], [])
    finally:
        for statement in (
            "ALTER TABLE _e.order_log_events DROP COLUMN b, DROP COLUMN a_new",
            "ALTER TABLE _e.schema_changes DELETE WHERE name LIKE '900%' SETTINGS mutations_sync = 1",
        ):
            query(url, statement)
