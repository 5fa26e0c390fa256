"""The company's crawlers in the rehearsal: they write all the while, and are switched one by one."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gcc_platform.commands.migration.demo.stage import Stage
from ingest_service.publisher.legacy_writes import VARIABLE, LegacyWrites

_MODULE = "gcc_platform.migration.rehearsal.crawler"


@dataclass
class Crawlers:
    """Some crawlers, each with its mode."""

    stage: Stage
    rate: float
    """Visits per second of each; a visit is a snapshot of a profile and one of a post."""
    modes: dict[str, LegacyWrites] = field(default_factory=dict)

    def switch(self, name: str, mode: LegacyWrites) -> None:
        """Start a crawler, or restart it in another mode."""
        if name in self.modes:
            self.stage.stop(name)
        argv = [sys.executable, "-m", _MODULE, name, str(self.rate), str(self._journal(name))]
        self.stage.start(name, argv, {VARIABLE: mode.value, "GCC_SPOOL_DIR": self._spool(name)})
        self.modes[name] = mode

    def stop(self) -> None:
        """Stop all of them; each finishes its visit and sends what it has."""
        for name in self.modes:
            self.stage.stop(name)
        self.modes.clear()

    def spools(self) -> list[str]:
        """The folders in which their events may wait."""
        return [self._spool(name) for name in self.modes]

    def committed(self) -> Counter[str]:
        """The visits that each process of a crawler has committed, by its source."""
        lines = [line for path in self.stage.directory.glob("*.journal") for line in path.read_text().splitlines()]
        return Counter(json.loads(line)["source"] for line in lines)

    def _journal(self, name: str) -> Path:
        return self.stage.directory / f"{name}.journal"

    def _spool(self, name: str) -> str:
        return str(self.stage.directory / f"{name}.spool")
