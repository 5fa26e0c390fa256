"""make bench ARGS=sync, by itself: it has servers of its own, and a section of its own."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import sections
from tests.benchmarks.bench import opened
from tests.benchmarks.sync import measurement, shown

SECTION = "make bench sync"
_FIGURES = "sync.json"


def run(results: Path, docs: Path, *, quick: bool, code: str, say: Callable[[str], None]) -> None:
    """Measure everything, and write the section. What is measured is kept as it comes: all takes about an hour."""
    sizes = measurement.QUICK if quick else measurement.Sizes()
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), say) as bench:
        found = measurement.measure(bench, sizes, code, say)
        measurement.keep(results / _FIGURES, found)
        measurement.keep(results / _FIGURES, measurement.compared(bench, found, say))
    write(results, docs, say)


def write(results: Path, docs: Path, say: Callable[[str], None]) -> None:
    """Write the section from what was measured before."""
    if found := measurement.kept(results / _FIGURES):
        text = shown.section(found)
        sections.write(docs / "benchmarks.md", SECTION, text)
        say(text)
