"""What the sync promises holds when the rows go through a bucket: the same tests, with another source of rows."""

from collections.abc import Iterator, Mapping

import pytest

from gcc_platform import stage_location
from gcc_platform.resources import clickhouse
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.stage import row_source
from tests.gcc_platform.sync.test_changed_rows import (  # noqa: F401  collected here too
    mart,
    test_rewritten_and_new_rows_alone_are_sent,
    test_rows_written_by_hand_are_named_and_repaired_in_place,
    test_vanished_rows_are_found_by_counting_and_then_by_key,
)
from tests.gcc_platform.sync.test_full import (  # noqa: F401
    test_a_broken_grain_is_named_and_leaves_the_old_version,
    test_an_empty_mart_is_served_empty,
    test_new_columns_keep_grants_and_views_over_the_mart,
)
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
