"""What was measured, kept on disk between runs: each item replaces its own rows, so one can be run alone."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Table(msgspec.Struct, frozen=True):
    """One table of the report; a cell is text."""

    title: str
    said: str
    """What was done, and how to read it."""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[tuple[str, float], ...] = ()
    """What the chart shows of it: names and numbers."""


@dataclass(frozen=True)
class Figure:
    """Several measurements of one thing."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def shown(self, digits: int = 0) -> str:
        """`median (least-most)`."""
        text = f"{self.median:,.{digits}f}"
        return (
            text if len(self.values) == 1 else f"{text} ({min(self.values):,.{digits}f}-{max(self.values):,.{digits}f})"
        )


class Results:
    """A folder with one file per item."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, item: str, tables: Sequence[Table]) -> None:
        """Replace an item's tables."""
        (self._folder / f"{item}.json").write_bytes(msgspec.json.format(msgspec.json.encode(tables)))

    def tables(self, items: Sequence[str]) -> list[Table]:
        """Those of the items that were measured, in order."""
        files = [self._folder / f"{item}.json" for item in items]
        return [
            table
            for file in files
            if file.exists()
            for table in msgspec.json.decode(file.read_bytes(), type=list[Table])
        ]
