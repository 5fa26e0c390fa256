"""Values of every type arrive as they are when they go through a bucket."""

from tests.gcc_platform.sync.test_types import (  # noqa: F401  collected here too, with another source
    mart,
    test_values_arrive_as_they_are_or_are_counted_and_rows_have_one_checksum_on_both_servers,
)
