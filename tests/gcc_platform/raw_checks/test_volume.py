from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given
from hypothesis import strategies as st

from gcc_platform.raw_checks import volume
from gcc_platform.raw_checks.volume import Volume
from gcc_platform.resources.clickhouse import ClickHouse, connect

NOW = datetime(2026, 3, 10, 12, 2, 30, tzinfo=UTC)


def test_a_steady_type_that_stops_is_an_error() -> None:
    found = volume.check(Volume(0, [9_000] * 12))
    assert not found.passed
    assert found.is_error
    assert found.description == "0 rows arrived in the last 5 minutes, 9000 are usual"


def test_much_less_than_usual_is_a_warning_and_half_of_it_is_nothing() -> None:
    assert not volume.check(Volume(899, [9_000] * 12)).passed
    assert volume.check(Volume(4_500, [9_000] * 12)).passed


def test_a_sparse_type_may_be_silent() -> None:
    assert volume.check(Volume(0, [0, 3, 14, 2, 0, 0, 14, 3, 0, 1, 14, 14])).passed


def test_earlier_days_are_the_measure_when_there_are_three() -> None:
    assert Volume(0, [1_000] * 12, [0, 0, 0]).expected == 0
    assert Volume(0, [1_000] * 12, [0, 0]).expected == 1_000
    assert Volume(0).expected == 0


@given(st.integers(0, 100), st.lists(st.integers(0, 100), max_size=12), st.lists(st.integers(0, 100), max_size=7))
def test_it_fails_only_where_nearly_nothing_arrives_and_much_is_usual(
    recent: int, hour: list[int], days: list[int]
) -> None:
    found = Volume(recent, hour, days)
    if not volume.check(found).passed:
        assert recent * 10 < found.expected
        assert found.expected >= 15


@pytest.fixture
def ledger(ingest: Client) -> Client:
    ingest.command("TRUNCATE TABLE _e.ingest_batches")
    return ingest


@pytest.fixture
def clickhouse(raw_tables: Mapping[str, str]) -> Iterator[ClickHouse]:
    with connect(raw_tables["GCC_SYNC_CLICKHOUSE_URL"], {"test": "volume"}) as connection:
        yield connection


def land(ledger: Client, rows: int, ago: timedelta, name: str = "post_log") -> None:
    ledger.command(
        "INSERT INTO _e.ingest_batches (type, rows, landed_at) "
        f"SELECT '{name}', {rows}, toDateTime64('{(NOW - ago):%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
    )


def test_rows_are_counted_in_windows_of_five_minutes_before_now(ledger: Client, clickhouse: ClickHouse) -> None:
    land(ledger, 1, timedelta(days=8))  # the history is long enough for all days
    land(ledger, 7, timedelta(minutes=4, seconds=59))
    land(ledger, 20, timedelta(minutes=5))
    land(ledger, 30, timedelta(minutes=64))
    land(ledger, 1_000, timedelta(minutes=70))
    land(ledger, 100, timedelta(days=1, minutes=2))
    land(ledger, 1_000, timedelta(days=1, minutes=6))
    land(ledger, 300, timedelta(days=7, minutes=4))
    land(ledger, 1_000, timedelta(days=-1))  # a clock that is ahead
    found = volume.measure(clickhouse, NOW)["post_log"]
    assert found.recent == 7
    assert list(found.last_hour) == [20, *[0] * 10, 30]
    assert list(found.same_minutes_of_earlier_days) == [100, 0, 0, 0, 0, 0, 300]


def test_what_a_migration_brings_is_not_usual(ledger: Client, clickhouse: ClickHouse) -> None:
    ledger.command(
        "INSERT INTO _e.ingest_batches (type, batch, rows, landed_at) "
        f"SELECT 'post_log', 'migration/backfill/post_log/1-9.1', 100000, toDateTime('{NOW:%Y-%m-%d %H:%M:%S}', 'UTC') "
        "- 300 * (number + 1) FROM numbers(12)"
    )
    assert volume.measure(clickhouse, NOW) == {}
    land(ledger, 20, timedelta(minutes=21))
    assert sum(volume.measure(clickhouse, NOW)["post_log"].last_hour) == 0


def test_only_windows_since_the_first_row_count(ledger: Client, clickhouse: ClickHouse) -> None:
    land(ledger, 50, timedelta(minutes=21))
    found = volume.measure(clickhouse, NOW)["post_log"]
    assert list(found.last_hour) == [0, 0, 0]
    assert list(found.same_minutes_of_earlier_days) == []


def test_a_type_that_stops_fails_within_five_minutes_and_not_before_it_is_clear(
    ledger: Client, clickhouse: ClickHouse
) -> None:
    """500 rows a minute until four minutes ago, then none."""
    for minute in range(5, 66):
        land(ledger, 500, timedelta(minutes=minute))
    assert volume.check(volume.measure(clickhouse, NOW - timedelta(minutes=2))["post_log"]).passed
    assert not volume.check(volume.measure(clickhouse, NOW)["post_log"]).passed
