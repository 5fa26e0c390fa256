"""The doctor sends rows through the stage, and names what ClickHouse or this process may not do there."""

from collections.abc import Mapping

import pytest

from gcc_platform.commands import stage_conditions
from gcc_platform.settings import Settings
from tests.harness.s3_server import S3Server


@pytest.fixture
def settings(stack: Mapping[str, str], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in stack.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GCC_SYNC_STAGE", s3_server.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3_server.start()
    return Settings(_env_file=None)


def test_a_stage_that_works_is_one_finding_and_stays_empty(settings: Settings, s3_server: S3Server) -> None:
    [finding] = stage_conditions.examine(settings)
    assert finding.ok
    assert finding.message.endswith("/bucket/marts: rows go there, come back, and are deleted")
    assert s3_server.objects() == []


def test_without_the_setting_nothing_is_checked(settings: Settings) -> None:
    assert list(stage_conditions.examine(settings.model_copy(update={"sync_stage": None}))) == []


def test_a_user_of_clickhouse_without_the_grants_is_sent_to_the_script(
    stack: Mapping[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCC_SYNC_CLICKHOUSE_URL", stack["GCC_DBT_CLICKHOUSE_URL"])
    [finding] = stage_conditions.examine(Settings(_env_file=None))
    assert not finding.ok
    assert "Not enough privileges" in finding.message
    assert "run deploy/grants/clickhouse_stage.sql" in finding.advice


def test_keys_of_this_process_that_the_store_refuses_are_a_finding(
    settings: Settings, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCC_SYNC_STAGE", s3_server.url.replace(s3_server.secret, "s3cret"))
    [finding] = stage_conditions.examine(Settings(_env_file=None))
    assert not finding.ok
    assert "PermissionError" in finding.message
    assert "s3cret" not in finding.message
    assert finding.advice.startswith("this process must be able to read, list and delete there")
    for left in s3_server.objects():  # these keys may not delete it either
        left.unlink()


def test_an_object_that_stays_is_a_finding(settings: Settings, s3_server: S3Server) -> None:
    left = s3_server.folder / "doctor" / "by-hand.tsv.zst"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    try:
        [finding] = stage_conditions.examine(settings)
    finally:
        left.unlink()
    assert not finding.ok
    assert finding.message.endswith("1 objects stay")
