"""gcc-platform doctor says what keeps a migration from being exact."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from gcc_platform.commands import migration_conditions
from gcc_platform.commands.finding import Finding
from gcc_platform.migration.settings import MigrationSettings
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.test_backfill import profile


@pytest.fixture
def settings(raw_tables: Mapping[str, str], moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**raw_tables, "GCC_LEGACY_URL": moving.legacy_url}.items():
        monkeypatch.setenv(name, value)
    moving.prepare("profile_log")


def wrong() -> list[Finding]:
    return [found for found in migration_conditions.examine(MigrationSettings()) if not found.ok]


def of_profiles() -> list[str]:
    return [found.message for found in wrong() if found.subject == "the old PostgreSQL, profile_log"]


def test_a_prepared_table_with_times_of_its_zone_is_well(settings: None, old: psycopg.Connection) -> None:
    profile(old, timestamp=datetime.now(UTC).replace(tzinfo=None))
    assert of_profiles() == []
    unprepared = {found.subject for found in wrong()}
    assert "the old PostgreSQL, post_log" in unprepared
    assert not {"ClickHouse, migration", "PostgreSQL, migration", "the old PostgreSQL"} & unprepared


def test_times_ahead_show_that_the_zone_is_another(settings: None, old: psycopg.Connection) -> None:
    profile(old, timestamp=datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=5, minutes=30))
    [message] = of_profiles()
    assert message.startswith("its newest time is ")
    assert message.endswith(" in UTC")


def test_ids_that_a_session_keeps_for_later_are_reported(settings: None, old: psycopg.Connection) -> None:
    old.execute("ALTER SEQUENCE profile_log_id_seq CACHE 20")
    assert of_profiles() == ["its sequence has CACHE 20"]


def test_without_an_old_database_there_is_nothing_to_check(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCC_LEGACY_URL")
    assert wrong() == []
