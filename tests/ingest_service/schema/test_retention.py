"""Raw rows are deleted only if the operator asks for it, and then by their age since the insert, in whole parts."""

import asyncio
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from ingest_service.clickhouse.client import connected
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema import retention
from ingest_service.schema.retention import BadRetention, days_by_table
from tests.harness.running import eventually, query, run

Environment = Mapping[str, str]
TABLE = "_e.order_log_events"
SETTINGS = "ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1"


@pytest.fixture
def url(initialised: Environment) -> Iterator[str]:
    """ClickHouse, whose tables have no TTL before and after."""
    url = initialised["CLICKHOUSE_URL"]
    yield url
    apply(url, None)
    query(url, f"TRUNCATE TABLE {TABLE}")


def apply(url: str, days: int | None, **by_type: int) -> list[str]:
    async def applied() -> list[str]:
        async with connected(url, 30) as clickhouse:
            return await retention.apply(clickhouse, None, days_by_table(days, by_type))

    return asyncio.run(applied())


def engine(url: str, table: str = TABLE) -> str:
    name = table.removeprefix("_e.")
    return query(url, f"SELECT engine_full FROM system.tables WHERE database = '_e' AND name = '{name}'")


def insert(url: str, *, inserted_days_ago: int, happened: str, source: str) -> None:
    query(
        url,
        f"INSERT INTO {TABLE} (event_id, platform, source, event_timestamp, insert_timestamp)"
        f" SELECT '{uuid4()}', 'YOUTUBE', '{source}', '{happened}', now64(3) - INTERVAL {inserted_days_ago} DAY",
    )


def merged(url: str) -> set[str]:
    """The sources of the rows that a merge of everything leaves."""
    query(url, f"OPTIMIZE TABLE {TABLE} FINAL")
    return set(query(url, f"SELECT source FROM {TABLE}").split())


def is_recalculated(url: str) -> bool:
    return query(url, "SELECT count() FROM system.mutations WHERE database = '_e' AND NOT is_done").strip() == "0"


def alters(url: str) -> int:
    """How many statements have altered a table: a query that is logged later makes sure that all are counted."""
    mark = f"mark {uuid4()}"
    query(url, f"SELECT '{mark}'")
    logged = f"SELECT count() FROM system.query_log WHERE query LIKE 'SELECT ''{mark}''%' AND type = 'QueryFinish'"
    eventually(lambda: query(url, logged).strip() != "0")
    return int(query(url, "SELECT count() FROM system.query_log WHERE query_kind = 'Alter'"))


def test_without_the_setting_no_table_has_a_ttl(initialised: Environment) -> None:
    assert run(initialised, "init").returncode == 0
    for each in EVENT_TYPES.values():
        assert " TTL " not in engine(initialised["CLICKHOUSE_URL"], each.table)


def test_init_sets_changes_and_removes_the_ttl_of_every_table(initialised: Environment, url: str) -> None:
    untouched = engine(url)
    for days in ("30", "60"):
        done = run({**initialised, "GCC_RAW_TTL_DAYS": days}, "init")
        assert f"TTL of {len(EVENT_TYPES)} changed" in done.stdout.decode(), done.stderr
        for each in EVENT_TYPES.values():
            found = engine(url, each.table)
            assert f" TTL toDateTime(insert_timestamp) + toIntervalDay({days}) SETTINGS " in found
            assert SETTINGS in found
    assert f"TTL of {len(EVENT_TYPES)} changed" in run(initialised, "init").stdout.decode()
    assert engine(url) == untouched


def test_a_second_init_alters_nothing(url: str) -> None:
    assert len(apply(url, 30)) == len(EVENT_TYPES)
    before = alters(url)
    assert before > 0
    assert apply(url, 30) == []
    assert alters(url) == before
    apply(url, None)
    before = alters(url)
    assert apply(url, None) == []
    assert alters(url) == before


def test_a_type_of_its_own_takes_precedence_and_0_keeps_its_rows(initialised: Environment, url: str) -> None:
    environment = {"GCC_RAW_TTL_DAYS": "30", "GCC_RAW_TTL_DAYS_BY_TYPE": '{"order_log": 7, "trace_log": 0}'}
    assert run({**initialised, **environment}, "init").returncode == 0
    assert "toIntervalDay(7)" in engine(url)
    assert "toIntervalDay(30)" in engine(url, "_e.post_log_events")
    assert " TTL " not in engine(url, "_e.trace_log_events")


def test_old_rows_go_whether_inserted_before_or_after_the_ttl_was_set_and_new_rows_stay(url: str) -> None:
    insert(url, inserted_days_ago=40, happened="2025-01-05", source="old")
    insert(url, inserted_days_ago=20, happened="2025-02-05", source="new")
    insert(url, inserted_days_ago=0, happened="2020-01-05", source="late")
    assert merged(url) == {"old", "new", "late"}
    apply(url, 30)
    insert(url, inserted_days_ago=40, happened="2025-03-05", source="older")
    eventually(lambda: is_recalculated(url))
    assert merged(url) == {"new", "late"}


def test_after_the_ttl_is_removed_or_prolonged_rows_that_it_would_have_deleted_stay(url: str) -> None:
    for days in (60, None):
        apply(url, 30)
        apply(url, days)
        insert(url, inserted_days_ago=40, happened="2025-01-05", source="old")
        eventually(lambda: is_recalculated(url))
        assert merged(url) == {"old"}


def test_whole_parts_are_dropped_by_themselves_and_no_part_is_rewritten_for_its_old_rows(url: str) -> None:
    query(url, f"ALTER TABLE {TABLE} MODIFY SETTING merge_with_ttl_timeout = 1")  # by default four hours
    insert(url, inserted_days_ago=40, happened="2025-01-05", source="old")
    for days in (40, 0):
        insert(url, inserted_days_ago=days, happened="2025-02-05", source=f"mixed_{days}")
    assert merged(url) == {"old", "mixed_40", "mixed_0"}
    try:
        apply(url, 30)
        eventually(lambda: "old" not in query(url, f"SELECT source FROM {TABLE}"), 60)
        assert set(query(url, f"SELECT source FROM {TABLE}").split()) == {"mixed_40", "mixed_0"}
        assert merged(url) == {"mixed_0"}, "a merge that takes place anyway leaves old rows out"
    finally:
        query(url, f"ALTER TABLE {TABLE} RESET SETTING merge_with_ttl_timeout")


def test_a_ttl_that_others_set_is_never_removed_nor_replaced(url: str) -> None:
    query(url, f"ALTER TABLE {TABLE} MODIFY TTL toDateTime(event_timestamp) + INTERVAL 5 YEAR")
    try:
        assert apply(url, None) == []
        with pytest.raises(
            BadRetention, match=rf"{TABLE} has a TTL that gcc-ingest did not set: .*toIntervalYear\(5\)"
        ):
            apply(url, 30)
        assert all(" TTL " not in engine(url, each.table) for each in EVENT_TYPES.values() if each.table != TABLE)
        assert len(apply(url, 30, order_log=0)) == len(EVENT_TYPES) - 1
        assert "toIntervalYear(5)" in engine(url)
    finally:
        query(url, f"ALTER TABLE {TABLE} REMOVE TTL")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GCC_RAW_TTL_DAYS", "100000", "GCC_RAW_TTL_DAYS: Input should be less than or equal to 10000"),
        ("GCC_RAW_TTL_DAYS", "-1", "GCC_RAW_TTL_DAYS: Input should be greater than or equal to 0"),
        ("GCC_RAW_TTL_DAYS_BY_TYPE", "order_log=7", "GCC_RAW_TTL_DAYS_BY_TYPE: Invalid JSON"),
        ("GCC_RAW_TTL_DAYS_BY_TYPE", '{"order": 7}', "names order, which is not an event type; there are affiliate"),
    ],
)
def test_days_that_cannot_be_are_refused_and_alter_nothing(
    initialised: Environment, url: str, name: str, value: str, message: str
) -> None:
    done = run({**initialised, name: value}, "init")
    assert done.returncode != 0
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert " TTL " not in engine(url)
