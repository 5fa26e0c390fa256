"""The doctor names the settings, tables and views of ClickHouse that hinder inserts."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gcc_platform.commands import insert_conditions
from gcc_platform.commands.finding import Finding
from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.resources import clickhouse
from ingest_service.clickhouse.client import connected
from ingest_service.schema.apply import apply
from tests.harness.running import query

_SUBJECT = "ClickHouse, ingest"


def findings(environment: Mapping[str, str], cluster: str | None = None) -> list[Finding]:
    with clickhouse.connect(environment["CLICKHOUSE_URL"], {"command": "doctor"}) as server:
        return list(insert_conditions.examine(server, _SUBJECT, cluster))


class Constrained(ClickHouse):
    """Its users.xml is changed before it starts."""

    change: Callable[[str], str] = staticmethod(lambda text: text)

    def prepare(self) -> None:
        super().prepare()
        file = self.directory / "users.xml"
        file.write_text(self.change(file.read_text()))


@pytest.fixture
def constrained(tmp_path: Path) -> Iterator[Constrained]:
    server = Constrained(tmp_path, Ports.free(), dict.fromkeys(ClickHouse.users, "doctor"), fast=True)
    yield server
    server.stop()


def profile(inside: str) -> Callable[[str], str]:
    """The profile of the ingest service's user."""
    return lambda text: re.sub(
        r"(<ingest>.*?<profile>)default",
        r"\1strict",
        text.replace("<profiles>", f"<profiles><strict><profile>default</profile>{inside}</strict>"),
        flags=re.DOTALL,
    )


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (
            "<async_insert>1</async_insert><constraints><async_insert><const/></async_insert></constraints>",
            "async_insert = 1, inserts need 0 and are refused: the profile makes it constant (const, or readonly)",
        ),
        (
            "<max_execution_time>60</max_execution_time>"
            "<constraints><max_execution_time><min>10</min></max_execution_time></constraints>",
            "max_execution_time = 60, inserts need 0 and are refused: the profile's min is 10",
        ),
        ("<readonly>2</readonly>", "readonly = 2: inserts are refused"),
    ],
)
def test_a_profile_that_forbids_what_inserts_need_is_named_with_its_value_its_constraint_and_the_way_out(
    constrained: Constrained, inside: str, message: str
) -> None:
    constrained.change = profile(inside)  # type: ignore[method-assign]
    constrained.start(threading.Event())
    wrong = [finding for finding in findings(constrained.environment()) if not finding.ok]
    assert [finding.message for finding in wrong] == [message]
    assert f"give this user a profile with {message.split(maxsplit=1)[0]} = 0" in wrong[0].advice


def test_a_profile_with_other_settings_than_inserts_need_is_well_as_long_as_they_may_be_changed(
    constrained: Constrained,
) -> None:
    constrained.change = profile(  # type: ignore[method-assign]
        "<async_insert>1</async_insert><input_format_allow_errors_num>10</input_format_allow_errors_num>"
    )
    constrained.start(threading.Event())
    assert [finding for finding in findings(constrained.environment()) if not finding.ok] == []


def test_tables_that_do_not_remember_tokens_are_named_with_the_statement_that_fixes_them(
    raw_tables: Mapping[str, str],
) -> None:
    url, table = raw_tables["CLICKHOUSE_URL"], "_e.order_log_events"
    setting = "non_replicated_deduplication_window"
    query(url, f"ALTER TABLE {table} MODIFY SETTING {setting} = 0, fsync_after_insert = 0")
    try:
        found = findings(raw_tables)
        [of_cluster] = [finding for finding in findings(raw_tables, "main") if not finding.ok]
    finally:
        query(url, f"ALTER TABLE {table} MODIFY SETTING {setting} = 1000, fsync_after_insert = 1")
    (wrong,) = [finding for finding in found if not finding.ok]
    assert wrong.message.startswith(f"{setting} = 0 on {table}, gcc-ingest init sets 1000")
    assert wrong.advice == f"ALTER TABLE {table} MODIFY SETTING {setting} = 1000"
    assert any(finding.message.startswith(f"fsync_after_insert = 0 on {table}") for finding in found)
    # The engine, not the setting of the cluster, decides which window counts.
    assert of_cluster.message == wrong.message
    assert of_cluster.advice == f"ALTER TABLE {table} ON CLUSTER 'main' MODIFY SETTING {setting} = 1000"
    well = findings(raw_tables)
    assert all(finding.ok for finding in well)
    assert Finding(_SUBJECT, True, f"{setting} = 1000 on 12 raw tables, gcc-ingest init sets 1000") in well


def test_a_view_that_is_not_ours_is_reported_and_a_missing_view_of_the_ledger_is_wrong(
    raw_tables: Mapping[str, str],
) -> None:
    url, table = raw_tables["CLICKHOUSE_URL"], "_e.order_log_events"
    query(url, f"CREATE MATERIALIZED VIEW _e.of_an_analyst ENGINE = Null AS SELECT event_id FROM {table}")
    query(url, "DROP VIEW _e.ingest_batches_of_order_log SYNC")
    try:
        found = findings(raw_tables)
    finally:
        query(url, "DROP VIEW _e.of_an_analyst SYNC")
        asyncio.run(_init(url))
    message = f"the view _e.of_an_analyst of {table} is not ours: if it fails, inserts into {table} halt"
    assert Finding(_SUBJECT, True, message) in found
    assert [(each.message, each.advice) for each in found if not each.ok] == [
        (f"the ledger has no view of {table}", "run gcc-ingest init")
    ]


async def _init(url: str) -> None:
    async with connected(url, 30) as server:
        await apply(server)
