"""A table is built again only if something that it is built from has changed: its code, its inputs, or the table."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.dbt_project import dbt
from tests.dbt_project.histories import Event, forget, histories, land
from tests.harness.running import query

PLATFORM = "HISTORY%"
_TABLES = ("mart_discovery", "mart_leaderboard", "mart_profile_growth")
_WITH_INPUTS = [*(f"+{name}" for name in _TABLES), "+mart_trace_latency"]


@pytest.fixture(scope="module")
def built(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator["Warehouse"]:
    warehouse = Warehouse(stack, tmp_path_factory.mktemp("dbt"))
    first, warehouse.later = histories(seed=5, count=3, runs=2)
    asyncio.run(land(stack["CLICKHOUSE_URL"], first))
    warehouse.run("--full-refresh", "--select", *_WITH_INPUTS)
    yield warehouse
    asyncio.run(forget(stack["CLICKHOUSE_URL"], PLATFORM))


class Warehouse:
    later: Mapping[str, list[Event]]

    def __init__(self, stack: Mapping[str, str], target: Path) -> None:
        self.stack = stack
        self.url = stack["GCC_DBT_CLICKHOUSE_URL"]
        self._target = target

    def run(self, *arguments: str) -> set[str]:
        """Run dbt. Returns the tables that were built again."""
        before = self._uuids()
        outcomes = dbt.run(self.stack, self._target, "run", *arguments)
        assert set(outcomes.values()) == {"success"}, outcomes
        after = self._uuids()
        return {name for name in _TABLES if before.get(name) != after[name]}

    def parts(self) -> set[str]:
        """The parts of all tables of the warehouse, but for those in which runs are recorded."""
        found = query(
            self.url,
            "SELECT table, name, modification_time FROM system.parts WHERE active AND database = 'warehouse' "
            "AND NOT startsWith(table, 'refresh_')",
        )
        return set(found.splitlines())

    def _uuids(self) -> dict[str, str]:
        found = query(self.url, "SELECT name, uuid FROM system.tables WHERE database = 'warehouse'")
        return dict(line.split("\t") for line in found.splitlines())


def test_a_run_with_nothing_new_writes_no_part_and_builds_no_table(built: Warehouse) -> None:
    """Not even where a model deletes the rows that it replaces, or after merges."""
    query(built.url, "OPTIMIZE TABLE warehouse.int_profile_growth FINAL")
    before = built.parts()
    without_overlap = "{overlap_seconds: 0}"  # else the run reads the last ten minutes once more
    assert built.run("--select", *_WITH_INPUTS, "--vars", without_overlap) == set()
    assert built.parts() == before


def test_another_code_or_a_table_changed_by_hand_is_built_again(built: Warehouse) -> None:
    assert built.run("--select", "mart_leaderboard", "--vars", "{ranked_posts: 2}") == {"mart_leaderboard"}
    query(
        built.url,
        "ALTER TABLE warehouse.mart_leaderboard UPDATE value = 0 WHERE 1 SETTINGS mutations_sync = 2",
    )
    assert built.run("--select", "mart_leaderboard", "--vars", "{ranked_posts: 2}") == {"mart_leaderboard"}


def test_new_events_are_in_every_table_that_reads_them(built: Warehouse) -> None:
    asyncio.run(land(built.stack["CLICKHOUSE_URL"], built.later))
    assert built.run("--select", *_WITH_INPUTS) == set(_TABLES)
    incremental = {name: dbt.rows(built.stack, name, PLATFORM) for name in _TABLES}
    assert built.run("--full-refresh", "--select", *_WITH_INPUTS) == set(_TABLES)
    assert incremental == {name: dbt.rows(built.stack, name, PLATFORM) for name in _TABLES}
