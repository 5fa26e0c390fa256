"""What the watch remembers between looks: nothing that a restart may not forget.

Alertmanager has the state of alerts. The watch only confirms what it saw twice, keeps what it cannot see at present,
and repeats for a while that something has ended.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.seen import Seen

ENDED_SECONDS = 900
"""As Prometheus does. Alertmanager may have been away when an alert ended: without being informed of the end, it takes
the next one for the one that it has reported already, and swallows it."""

Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Firing:
    """An alert that was confirmed."""

    alert: Alert
    since: float
    """When it was seen first, in epoch seconds."""


@dataclass(frozen=True)
class Ended:
    """An alert that fires no longer."""

    alert: Alert
    started_at: float
    ended_at: float


@dataclass
class _Known:
    alert: Alert
    first_seen: float
    last_seen: float
    looks: int


@dataclass
class Memory:
    """The alerts of the last looks, by identity."""

    clock: Callable[[], float]
    is_patient: bool = True
    """Whether an alert is confirmed only after its kind's number of looks; a single look confirms at once."""
    _known: dict[str, dict[Identity, _Known]] = field(default_factory=dict)
    """By probe."""
    _ended: dict[Identity, Ended] = field(default_factory=dict)

    def update(self, seen: Mapping[str, Seen]) -> None:
        """Take in one look, by probe."""
        before = {identity: known for known_ in self._known.values() for identity, known in known_.items()}
        for probe, part in seen.items():
            self._known[probe] = self._after(self._known.get(probe, {}), part)
        now = {identity for known_ in self._known.values() for identity in known_}
        self._note_ended(before, now)

    def firing(self) -> list[Firing]:
        """The confirmed alerts."""
        return [
            Firing(known.alert, known.first_seen)
            for known_ in self._known.values()
            for known in known_.values()
            if self._is_confirmed(known)
        ]

    def ended(self) -> list[Ended]:
        """The alerts that ended during the last ENDED_SECONDS."""
        return list(self._ended.values())

    def _after(self, known: Mapping[Identity, _Known], part: Seen) -> dict[Identity, _Known]:
        now = self.clock()
        found = {identity: old for identity, old in known.items() if not part.complete or self._keeps_firing(old, now)}
        for alert in part.alerts:
            old = known.get(alert.identity)
            found[alert.identity] = _Known(alert, old.first_seen if old else now, now, old.looks + 1 if old else 1)
        return found

    def _keeps_firing(self, known: _Known, now: float) -> bool:
        return self._is_confirmed(known) and now - known.last_seen < known.alert.kind.keep_firing_seconds

    def _note_ended(self, before: Mapping[Identity, _Known], now: Iterable[Identity]) -> None:
        at = self.clock()
        present = set(now)
        for identity, known in before.items():
            if identity not in present and self._is_confirmed(known):
                self._ended[identity] = Ended(known.alert, known.first_seen, at)
        self._ended = {
            identity: ended
            for identity, ended in self._ended.items()
            if identity not in present and at - ended.ended_at < ENDED_SECONDS
        }

    def _is_confirmed(self, known: _Known) -> bool:
        return not self.is_patient or known.looks >= known.alert.kind.looks
