"""What the status page, the status command and Dagster show: the result of the last look."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gcc_platform.watch.alertmanager import Reported
from gcc_platform.watch.alerts import Alert, Severity
from gcc_platform.watch.memory import Firing
from gcc_platform.watch.seen import (
    Assets,
    Component,
    LastRun,
    MovingTable,
    Queue,
    Reconciliation,
    Seen,
    TypeState,
    merged,
)

_RANKS = {Severity.PAGE.value: 0, Severity.WARN.value: 1}
_STATES = ("firing", "silenced", "muted")


@dataclass(frozen=True)
class Line:
    """An alert as it is shown."""

    name: str
    severity: str
    team: str
    cause: str
    summary: str
    do: str
    since: float
    """In epoch seconds."""
    state: str = "firing"
    """firing, silenced or muted."""
    why: str = ""
    """What mutes it."""
    link: str = ""
    runbook: str = ""
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The result of one look."""

    at: float
    """In epoch seconds."""
    seconds: float
    """How long the look took."""
    alerts: Sequence[Line] = ()
    """Worst first."""
    components: Sequence[Component] = ()
    types: Sequence[TypeState] = ()
    queues: Sequence[Queue] = ()
    reconciliation: Sequence[Reconciliation] = ()
    tables: Sequence[MovingTable] = ()
    """Those that are moved over; none unless GCC_LEGACY_URL is set."""
    runs: Sequence[LastRun] = ()
    assets: Assets = field(default_factory=Assets)
    alertmanager: str = ""
    """Why Alertmanager does not take alerts; empty if it does."""

    @property
    def is_well(self) -> bool:
        """Whether nothing fires, silenced or not."""
        return not self.alerts

    def as_json(self) -> str:
        """The report as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """The report that `as_json` wrote."""
        return cls(
            values["at"],
            values["seconds"],
            [Line(**each) for each in values["alerts"]],
            [Component(**each) for each in values["components"]],
            [TypeState(**each) for each in values["types"]],
            [Queue(**each) for each in values["queues"]],
            [Reconciliation(**each) for each in values["reconciliation"]],
            [MovingTable(**each) for each in values["tables"]],
            [LastRun(**each) for each in values["runs"]],
            Assets(**values["assets"]),
            values["alertmanager"],
        )


def report(
    at: float,
    seconds: float,
    seen: Mapping[str, Seen],
    firing: Sequence[Firing],
    reported: Sequence[Reported],
    alertmanager: str,
    runbook_url: str,
) -> Report:
    """Everything of one look. `reported` is what Alertmanager has: the times, and what is silenced or muted."""
    known = {tuple(sorted(each.labels.items())): each for each in reported}
    lines = [_line(each, known.get(each.alert.identity), runbook_url) for each in firing]
    whole = merged(seen.values())
    return Report(
        at,
        seconds,
        sorted(lines, key=_rank),
        whole.components,
        whole.types,
        whole.queues,
        whole.reconciliation,
        whole.tables,
        whole.runs,
        whole.assets,
        alertmanager,
    )


def _line(firing: Firing, known: Reported | None, runbook_url: str) -> Line:
    alert: Alert = firing.alert
    return Line(
        alert.kind.name,
        alert.severity.value,
        alert.team,
        alert.cause,
        alert.summary,
        alert.kind.do,
        min(firing.since, known.since.timestamp()) if known else firing.since,
        known.state if known else "firing",
        ", ".join(known.muted_by) if known else "",
        alert.link,
        f"{runbook_url}#{alert.kind.anchor}",
        dict(alert.about),
    )


def _rank(line: Line) -> tuple[int, int, float]:
    return _STATES.index(line.state), _RANKS.get(line.severity, len(_RANKS)), line.since
