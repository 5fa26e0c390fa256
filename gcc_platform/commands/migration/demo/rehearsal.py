"""What happens in the rehearsal: every phase to the end, and back, with real commands on real servers."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import click
import psycopg

from gcc_platform.commands.migration.demo.crawlers import Crawlers
from gcc_platform.commands.migration.demo.proof import Proof, prove
from gcc_platform.commands.migration.demo.stage import PROGRAMS, Stage
from ingest_service.publisher.legacy_writes import LegacyWrites

_TABLES = ("profile_log", "post_log")
_CRAWLERS = ("crawler_1", "crawler_2", "crawler_3")
_SETTLE_SECONDS = 20
"""Longer than GCC_MIGRATION_GRACE_SECONDS of the stage: older snapshots are not under way."""
_DAEMONS = ("tail", "reverse")


@dataclass
class Rehearsal:
    """One rehearsal."""

    stage: Stage
    crawlers: Crawlers
    began: float = field(default_factory=time.monotonic)

    def play(self) -> None:
        """Everything, in order. Raises CommandFailed if a step ends in another way than it must."""
        self._chapter("The company's crawlers write rows. Prepare, and bring the old rows over")
        for name in _CRAWLERS:
            self.crawlers.switch(name, LegacyWrites.ROWS)
        self._run("init")
        for name in _DAEMONS:
            self._start(name)
        self._run("backfill", "--workers", "2")
        for table in _TABLES:
            self._run("repair", table, "--accept", "missing_field", "--because", "rows of a defect of 2022")
            self._run("repair", table, "--accept", "no_time", "--because", "rows of a defect of 2022")
            self._run("repair", table, "--accept", "implausible_time", "--because", "rows of a defect of 2022")
        self._dual()
        self._verified()
        self._events()
        self._back_and_forward()

    def _dual(self) -> None:
        self._chapter("Dual writing: crawlers are upgraded one by one, and one of them loses an event")
        self._advance("dual")
        self._switch(LegacyWrites.BOTH, *_CRAWLERS[:2])
        event_id = self._lose_an_event()
        self._settle()
        self._run("check", code=1)
        self._run("explain", event_id)
        self._run("advance", "profile_log", "verified", code=1)
        self._run("repair")
        self._switch(LegacyWrites.BOTH, _CRAWLERS[2])
        self._settle()

    def _verified(self) -> None:
        self._chapter("Both sides are compared: rows, totals, and the marts that are built from either")
        self._run("check")
        until = datetime.now(UTC) - timedelta(seconds=_SETTLE_SECONDS)
        self._run("check", "--level", "marts", "--mart-days", "0", "--until", f"{until:%Y-%m-%dT%H:%M:%S}")
        self._advance("verified")
        self._advance("reads")

    def _events(self) -> None:
        self._chapter("Events only: the reverse writer keeps the old tables complete, and is killed meanwhile")
        for table in _TABLES:
            self._run("back", table, "dual", "--drill")
        self._run("check")
        self._advance("events")
        self._switch(LegacyWrites.EVENTS, *_CRAWLERS[:2])
        self._kill("reverse")
        self._start("reverse")
        self._switch(LegacyWrites.EVENTS, _CRAWLERS[2])
        self._settle()
        self._run("check")
        self._settle()
        self._run("check")
        self._advance("done")

    def _back_and_forward(self) -> None:
        self._chapter("Back to PostgreSQL, and forward again")
        self._run("back", "profile_log", "reads")
        self._run("back", "post_log", "reads")
        self._switch(LegacyWrites.ROWS, _CRAWLERS[0])
        self._switch(LegacyWrites.BOTH, *_CRAWLERS[1:])
        self._settle()
        self._run("check")
        self._advance("events")
        self._switch(LegacyWrites.EVENTS, *_CRAWLERS)
        self._settle()
        self._run("check")
        self._run("status")

    def proofs(self) -> list[Proof]:
        """Stop the crawlers, and count what they have committed on both sides, once the daemons have caught up."""
        committed = self.crawlers.committed
        self.crawlers.stop()
        environment = self.stage.environment
        deadline = time.monotonic() + 60

        def count() -> list[Proof]:
            return [
                prove(table, committed(), environment["GCC_LEGACY_URL"], environment["GCC_READER_CLICKHOUSE_URL"])
                for table in _TABLES
            ]

        found = count()
        while any(each.wrong for each in found) and time.monotonic() < deadline:
            time.sleep(1)
            found = count()
        return found

    def _advance(self, phase: str) -> None:
        for table in _TABLES:
            self._run("advance", table, phase)

    def _switch(self, mode: LegacyWrites, *names: str) -> None:
        for name in names:
            self.crawlers.switch(name, mode)
            self._note(f"{name} writes {mode.value}")

    def _start(self, daemon: str) -> None:
        self.stage.start(daemon, [str(PROGRAMS / "gcc-platform"), "migration", daemon, "--seconds", "1"])
        self._note(f"gcc-platform migration {daemon} runs")

    def _kill(self, daemon: str) -> None:
        self.stage.kill(daemon)
        self._note(f"gcc-platform migration {daemon} is killed")

    def _lose_an_event(self) -> str:
        """A crawler commits a row and dies before it publishes the event."""
        event_id = str(uuid4())
        with psycopg.connect(self.stage.environment["GCC_LEGACY_URL"], autocommit=True) as old:
            old.execute(
                """INSERT INTO profile_log (platform, profile_id, source, metrics, dimensions, timestamp, event_id)
                VALUES ('INSTAGRAM', 'lost', 'crawler_2', '[]', '[]', now() AT TIME ZONE 'UTC', %s)""",
                [event_id],
            )
        self._note("a crawler has committed a row, and died before it published the event")
        return event_id

    def _settle(self) -> None:
        """Let crawlers write, and what they wrote arrive."""
        time.sleep(_SETTLE_SECONDS)

    def _run(self, *arguments: str, code: int = 0) -> None:
        click.echo(click.style(f"\n$ gcc-platform migration {' '.join(map(_quoted, arguments))}", bold=True))
        click.echo(self.stage.run("gcc-platform", "migration", *arguments, code=code).rstrip())

    def _chapter(self, title: str) -> None:
        click.echo(click.style(f"\n[{time.monotonic() - self.began:3.0f} s] {title}", fg="cyan", bold=True))

    def _note(self, text: str) -> None:
        click.echo(click.style(f"  {text}", dim=True))


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument
