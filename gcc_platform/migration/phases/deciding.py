"""Whether a table may enter a phase: every gate it needs, with its numbers; and the step itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gcc_platform.migration.gates.gate import GATES, problem
from gcc_platform.migration.gates.measured import MEASURES, REVERSE_CAUGHT_UP, Measuring
from gcc_platform.migration.gates.results import STALE, GateResult, Standing, standings
from gcc_platform.migration.phases import history
from gcc_platform.migration.phases.phase import AFTER_ADVANCING, AFTER_GOING_BACK, Phase, rows_are_written
from gcc_platform.migration.phases.required import REQUIRED
from ingest_service.errors import UserError


class WrongPhase(UserError):
    """The phase cannot follow the one in which the table is."""


@dataclass(frozen=True)
class Judged:
    """One gate of a decision."""

    gate: str
    meaning: str
    reason: str
    """The numbers; of a red gate, why it is."""
    passed: bool


@dataclass(frozen=True)
class Decision:
    """Whether a table may go from a phase to another, and what is to be done then."""

    table: str
    came_from: Phase
    phase: Phase
    gates: Sequence[Judged]

    @property
    def red(self) -> Sequence[Judged]:
        """The gates that forbid it."""
        return [each for each in self.gates if not each.passed]

    @property
    def instruction(self) -> str:
        """What the operator does after it."""
        forward = self.phase.number > self.came_from.number
        text = (AFTER_ADVANCING if forward else AFTER_GOING_BACK)[self.phase]
        return text.format(table=self.table)

    def evidence(self) -> Mapping[str, Any]:
        """The gates as they stood, by name."""
        return {each.gate: {"passed": each.passed, "reason": each.reason} for each in self.gates}


def during(measuring: Measuring, phase: Phase) -> Measuring:
    """The same, with what a phase says about the table's crawlers."""
    return replace(measuring, rows_are_written=rows_are_written(phase))


async def measure(measuring: Measuring, phase: Phase) -> Sequence[GateResult]:
    """The gates that can be measured now, all of them. Raises psycopg.Error and ClickHouseUnavailable."""
    return [await each(during(measuring, phase)) for each in MEASURES.values()]


async def advancing(measuring: Measuring, phase: Phase, days: float, still_read: Sequence[str] = ()) -> Decision:
    """Measure the gates, and decide about the next phase. Nothing is recorded.

    `still_read` are the tables of GCC_LEGACY_TABLES. Raises WrongPhase, psycopg.Error and ClickHouseUnavailable.
    """
    state, table = measuring.state, measuring.table.name
    before = await history.current(state, table)
    if phase is not before.next:
        expected = f"the next one is {before.next}" if before.next else "there is no further one"
        raise WrongPhase(f"{table} is in the phase {before}: {expected}, not {phase}")
    measuring = during(measuring, before)
    needed = REQUIRED[phase]
    stood, now = dict(await standings(state, table)), datetime.now(UTC)
    for gate in needed:
        if gate in MEASURES:
            stood[gate] = _with(stood.get(gate), await MEASURES[gate](measuring), now)
    gates = [_judged(gate, stood.get(gate), now, days) for gate in needed]
    if phase in (Phase.EVENTS, Phase.DONE):
        gates.append(_reads_have_switched(table, still_read))
    return Decision(table, before, phase, gates)


async def going_back(measuring: Measuring, phase: Phase) -> Decision:
    """Decide about going back: from events only it takes a reverse writer that has caught up. Nothing is recorded.

    Raises WrongPhase, psycopg.Error and ClickHouseUnavailable.
    """
    table = measuring.table.name
    before = await history.current(measuring.state, table)
    if phase.number >= before.number:
        raise WrongPhase(f"{table} is in the phase {before}: {phase} is not before it")
    if rows_are_written(before):
        return Decision(table, before, phase, ())
    found = await MEASURES[REVERSE_CAUGHT_UP](during(measuring, before))
    gate = GATES[found.gate]
    return Decision(table, before, phase, [Judged(gate.name, gate.meaning, found.reason, found.passed)])


async def enter(measuring: Measuring, decision: Decision, entered_by: str) -> None:
    """Record the step and its evidence. Raises psycopg.Error."""
    await history.enter(
        measuring.state, decision.table, decision.came_from, decision.phase, entered_by, decision.evidence()
    )


def _with(standing: Standing | None, result: GateResult, now: datetime) -> Standing:
    """How a gate would stand with a new result: a pause before it ends a green period, as between two others."""
    since = standing.green_since if standing and now - standing.at <= STALE else None
    return Standing(result, now, (since or now) if result.passed else None)


def _judged(name: str, standing: Standing | None, now: datetime, days: float) -> Judged:
    gate = GATES[name]
    why = problem(gate, standing, now, days)
    reason = why if why or standing is None else f"{standing.result.reason}{_since(standing)}"
    return Judged(name, gate.meaning, str(reason), why is None)


def _since(standing: Standing) -> str:
    return f"; green since {standing.green_since:%Y-%m-%d %H:%M}" if standing.green_since else ""


def _reads_have_switched(table: str, still_read: Sequence[str]) -> Judged:
    is_read = table in still_read
    reason = f"GCC_LEGACY_TABLES {'still names' if is_read else 'does not name'} {table}"
    return Judged("reads_switched", "The warehouse reads the table from the platform.", reason, not is_read)
