"""The report keeps what was measured on another machine, and at another time."""

from tests.benchmarks import report
from tests.benchmarks.results import Table

BEFORE = """# Benchmarks

Written by `make bench drain` on 2026-01-01; do not edit.

## Drain

As it was.

| a |
| --- |
| 1 |

## The API

Old.

<!-- make migration -->
## Migration

Theirs.
<!-- end -->
"""


def test_a_section_that_was_not_measured_stays_with_the_head_and_one_that_was_is_replaced() -> None:
    text = report.markdown(
        [Table("The API", "New.", ("a",), (("2",),)), Table("More", "Said.", ("b",), ())], "", BEFORE
    )
    head, drain, api, more = text.split("\n## ")
    assert head == BEFORE.partition("\n## ")[0]
    assert drain == "Drain\n\nAs it was.\n\n| a |\n| --- |\n| 1 |\n"
    assert api == "The API\n\nNew.\n\n| a |\n| --- |\n| 2 |\n"
    assert more.startswith("More\n\nSaid.")


def test_if_all_of_it_was_measured_the_head_is_new() -> None:
    before = BEFORE.replace("## Drain", "## The API")
    text = report.markdown([Table("The API", "New.", ("a",), ())], "make bench api", before)
    assert text.startswith("# Benchmarks\n\nWritten by `make bench api`")
    assert "As it was" not in text
