"""The private ClickHouse may write to the sync's stage if there is one, and to nothing else if not."""

from pathlib import Path

import pytest

from gcc_platform import grants, stage_location
from gcc_platform.local_stack import clickhouse_stage
from gcc_platform.local_stack.errors import StackError
from gcc_platform.stage_location import Folder

DATA = Path("/data")


def test_without_a_stage_nothing_is_added() -> None:
    assert clickhouse_stage.grants_of_sync(None) == ()
    assert clickhouse_stage.named_collection(None) == ""
    assert clickhouse_stage.user_files(None, DATA) == DATA / "user_files"


def test_a_folder_is_the_only_one_that_the_server_writes_to() -> None:
    folder = Folder(Path("/stage"))
    assert clickhouse_stage.user_files(folder, DATA) == Path("/stage")
    assert clickhouse_stage.grants_of_sync(folder) == grants.stage_folder()
    assert "named_collections" not in clickhouse_stage.named_collection(folder)


def test_the_keys_of_a_bucket_are_escaped_and_cannot_be_replaced() -> None:
    configuration = clickhouse_stage.named_collection(stage_location.parse("http://k:a%3C%26b@h:9/b/p"))
    assert '<url overridable="0">http://h:9/b/p/</url>' in configuration
    assert '<secret_access_key overridable="0">a&lt;&amp;b</secret_access_key>' in configuration


@pytest.mark.parametrize("value", ["s3://bucket/prefix", "https://host/bucket"])
def test_a_bucket_without_keys_in_its_url_is_refused_with_the_way_out(value: str) -> None:
    with pytest.raises(StackError, match=f"^GCC_SYNC_STAGE={value}.*Set GCC_SYNC_STAGE to https://key:secret@host"):
        clickhouse_stage.named_collection(stage_location.parse(value))
