"""docs/delivery.md names a test for each promise: they exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PROMISES = re.compile(r"^\| .+ \| (`test_.+`) \|$", re.MULTILINE)


def test_every_promise_names_tests_that_exist() -> None:
    document = (TESTS.parent / "docs" / "delivery.md").read_text()
    named = {name for row in PROMISES.findall(document) for name in re.findall(r"`(test_\w+)`", row)}
    there = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 10
    assert named - there == set()
