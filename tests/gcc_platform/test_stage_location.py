"""GCC_SYNC_STAGE is a bucket or a folder; anything else is refused, and its keys are shown nowhere."""

from pathlib import Path

import pytest

from gcc_platform import stage_location
from gcc_platform.settings import Settings
from gcc_platform.stage_location import Bucket, Folder
from ingest_service.urls import BadUrl


@pytest.mark.parametrize(
    ("value", "expected", "shown"),
    [
        ("s3://b", Bucket("b", ""), "s3://b"),
        ("s3://b/a/c/", Bucket("b", "a/c"), "s3://b/a/c"),
        ("http://k:s%2F@h:9/b/p", Bucket("b", "p", "http://h:9", "k", "s/"), "http://h:9/b/p"),
        ("https://h/b", Bucket("b", "", "https://h"), "https://h/b"),
        ("https://k:s@[::1]:9/b/p", Bucket("b", "p", "https://[::1]:9", "k", "s"), "https://[::1]:9/b/p"),
        ("/srv/stage", Folder(Path("/srv/stage")), "/srv/stage"),
    ],
)
def test_a_location_is_a_bucket_or_a_folder(value: str, expected: Bucket | Folder, shown: str) -> None:
    location = stage_location.parse(value)
    assert location == expected
    assert str(location) == shown


@pytest.mark.parametrize(
    "value",
    [
        "ftp://k:s3cret@h/b",
        "gs://bucket",
        "https://k:s3cret@h",
        "https://s3cret@h/b",
        "https://k:s3cret@h:port/b",
        "https://k:s3cret@h/b?x=y",
        "s3://k:s3cret@b/p",
        "s3://",
        "s3:/bucket",
        "stage",
    ],
)
def test_another_value_is_refused_without_its_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_SYNC_STAGE", value)
    with pytest.raises(BadUrl, match=r"^GCC_SYNC_STAGE is not a folder or of the form s3://bucket") as refused:
        _ = Settings(_env_file=None).urls.sync_stage
    assert "s3cret" not in str(refused.value)


def test_a_locations_secret_is_not_in_its_repr() -> None:
    assert "s3cret" not in repr(stage_location.parse("https://k:s3cret@h/b"))


def test_without_the_setting_there_is_no_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCC_SYNC_STAGE", raising=False)
    assert Settings(_env_file=None).urls.sync_stage is None
