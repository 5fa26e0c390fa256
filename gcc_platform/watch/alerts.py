"""An alert: what is wrong, as Alertmanager identifies, routes and shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Who is interrupted."""

    PAGE = "page"
    """Somebody on call, now."""
    WARN = "warn"
    """The team, in working hours."""
    NONE = "none"
    """Nobody: the watch's own sign of life."""


@dataclass(frozen=True)
class Kind:
    """An entry of the catalog: everything that is the same for all alerts of a name."""

    name: str
    """Says what kind of wrong it is. Two faults never share a name: Alertmanager would take one for the other."""
    severity: Severity
    team: str
    do: str
    """What somebody on call does first, in a sentence."""
    looks: int = 1
    """It is reported when it was seen in this number of consecutive looks: one timeout on a busy machine is none."""
    keep_firing_seconds: float = 0.0
    """It fires for this long after it was last seen, as Prometheus' keep_firing_for: what it mutes recovers later."""
    muted_by: tuple[str, ...] = ()
    """Names of alerts that explain this one: while one of them fires, nobody is notified of this one."""
    muted_per_type: tuple[str, ...] = ()
    """The same, for alerts of the same event type only."""

    @property
    def anchor(self) -> str:
        """The heading of its runbook entry, as a fragment of a URL."""
        return self.name.lower()


@dataclass(frozen=True)
class Alert:
    """Something that is wrong now. Its identity is in the labels; numbers and reasons, which change, are not."""

    kind: Kind
    summary: str
    """One sentence with the reason and the numbers."""
    cause: str
    """Alerts of one cause are sent as one message."""
    severity: Severity
    team: str
    link: str = ""
    """Where to look: a page of Dagster, RabbitMQ or the service."""
    about: Mapping[str, str] = field(default_factory=dict)
    """The other labels: event type, asset, check, queue, ..."""

    @classmethod
    def of(
        cls,
        kind: Kind,
        summary: str,
        *,
        cause: str = "",
        severity: Severity | None = None,
        team: str = "",
        link: str = "",
        about: Mapping[str, str] | None = None,
    ) -> "Alert":
        """An alert with its kind's severity and team, unless others are given. The cause defaults to the name."""
        return cls(kind, summary, cause or kind.name, severity or kind.severity, team or kind.team, link, about or {})

    @property
    def labels(self) -> dict[str, str]:
        """Its identity."""
        return {
            "alertname": self.kind.name,
            "cause": self.cause,
            "severity": self.severity.value,
            "team": self.team,
            **self.about,
        }

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """The labels as a key."""
        return tuple(sorted(self.labels.items()))
