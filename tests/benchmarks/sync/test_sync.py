"""The section that `make bench ARGS=sync` writes: both states of the code beside each other."""

from pathlib import Path

import msgspec

from tests.benchmarks import sections
from tests.benchmarks.sync import measurement, shown
from tests.benchmarks.sync.all_marts import Equality


def test_the_section_has_each_figure_of_both_states() -> None:
    before = measurement.kept(shown.BEFORE)
    assert before is not None
    now = msgspec.structs.replace(
        before, equality=[Equality("mart_assets", 182, True), Equality("mart_orders", 7, False)]
    )
    text = shown.section(now)
    assert text.count("| now |") == text.count("| before |") == 3 + 2 + len(before.later_syncs.marts)
    assert "mart_assets (182 rows). Different: mart_orders." in text
    for name in ("this sync", "dlt 1.31.0, pyarrow", "COPY of a ready file"):
        assert f"\n| {name} |" in text


def test_a_command_replaces_its_own_section_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    for command, text in (("one", "1\n"), ("other", "2\n"), ("one", "3\n")):
        sections.write(page, command, text)
    assert page.read_text() == "# Benchmarks\n\n<!-- one -->\n3\n<!-- end -->\n\n<!-- other -->\n2\n<!-- end -->\n"
    assert sections.of(page, "other") == "\n<!-- other -->\n2\n<!-- end -->\n"
