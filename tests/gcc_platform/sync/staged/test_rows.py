"""What the sync promises of rows holds when they go through a bucket."""

from tests.gcc_platform.sync.test_changed_rows import (  # noqa: F401  collected here too, with another source
    mart,
    test_rewritten_and_new_rows_alone_are_sent,
    test_rows_written_by_hand_are_named_and_repaired_in_place,
    test_vanished_rows_are_found_by_counting_and_then_by_key,
)
from tests.gcc_platform.sync.test_full import (  # noqa: F401
    test_a_broken_grain_is_named_and_leaves_the_old_version,
    test_an_empty_mart_is_served_empty,
)
