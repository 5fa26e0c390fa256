"""ClickHouse, with a bucket between it and the sync: for tests of the sync that are collected here a second time."""

from collections.abc import Iterator, Mapping

import pytest

from gcc_platform import stage_location
from gcc_platform.resources import clickhouse
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.stage import row_source
from tests.harness.s3_server import S3Server


@pytest.fixture
def source(stack: Mapping[str, str], s3_server: S3Server) -> Iterator[ClickHouse]:
    """ClickHouse, but for the rows: it writes them to the bucket, which is empty again at the end."""
    s3_server.start()
    url = stack["GCC_SYNC_CLICKHOUSE_URL"]
    location = stage_location.parse(s3_server.url)
    with (
        clickhouse.connect(url, {}) as connection,
        clickhouse.connect(url, {}) as writing,
        row_source(location, writing, "mart", "run") as rows,
    ):
        vars(connection)["tab_separated"] = rows.tab_separated
        yield connection
    assert s3_server.objects() == []
