"""What the ingest service says of itself, by event type."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, request
from gcc_platform.watch.seen import Component, Seen, TypeState
from gcc_platform.watch.window import Window

_NAME = "ingest service"
_DEAD_LETTERS_SECONDS = 900
_STATES = {"waiting": "IngestWaiting", "retrying": "IngestRetrying", "halted": "IngestHalted"}


@dataclass
class IngestProbe:
    """Looks at one service. It remembers the counts of dead letters of the last fifteen minutes."""

    url: str
    clock: Callable[[], float]
    _dead_letters: dict[tuple[str, str], Window] = field(default_factory=dict)
    _has_looked: bool = False

    async def look(self, session: aiohttp.ClientSession) -> Seen:
        """Read /status and /ready."""
        try:
            status = await request(session, "GET", f"{self.url}/status")
            ready = await request(session, "GET", f"{self.url}/ready", accepted=(200, 503))
        except NoAnswer as error:
            found = Alert.of(KINDS["IngestDown"], f"the ingest service: {error}", cause="ingest")
            return Seen((found,), (Component(_NAME, "down", str(error)),), complete=False)
        types = tuple(_type_state(name, about) for name, about in status["types"].items())
        alerts = [*self._alerts(types, ready["obstacles"]), *self._blocked(status), *self._new_letters(status["types"])]
        obstacles = "; ".join(f"{name}: {why}" for name, why in ready["obstacles"].items())
        component = Component(_NAME, "failing" if obstacles else "ok", obstacles, f"{self.url}/status")
        return Seen(tuple(alerts), (component,), types)

    def _alerts(self, types: tuple[TypeState, ...], obstacles: Mapping[str, str]) -> Iterator[Alert]:
        for each in types:
            if each.state in _STATES:
                yield self._alert(
                    _STATES[each.state], each.event_type, f"{each.event_type} is {each.state}: {each.why}"
                )
            elif each.event_type in obstacles:
                yield self._alert("IngestStuck", each.event_type, f"{each.event_type} is {obstacles[each.event_type]}")

    def _blocked(self, status: Mapping[str, Any]) -> Iterator[Alert]:
        if status["blocked"]:
            yield Alert.of(KINDS["IngestBlocked"], f"RabbitMQ takes no messages: {status['blocked']}", cause="ingest")

    def _new_letters(self, types: Mapping[str, Any]) -> Iterator[Alert]:
        """An alert for each type with dead letters in the last minutes, whichever their reasons."""
        for name, about in types.items():
            for reason, count in about["dead_lettered"].items():
                self._dead_letters.setdefault((name, reason), self._window()).add(count)
            new = {why: self._dead_letters[name, why].increase for why in about["dead_lettered"]}
            shown = ", ".join(f"{count} {why}" for why, count in new.items() if count)
            if shown:
                yield self._alert("DeadLetters", name, f"{name}: new dead letters in the last 15 minutes: {shown}")
        self._has_looked = True

    def _window(self) -> Window:
        """A reason seen for the first time was at zero before, unless this is the first look."""
        window = Window(_DEAD_LETTERS_SECONDS, self.clock)
        if self._has_looked:
            window.add(0)
        return window

    def _alert(self, name: str, event_type: str, summary: str) -> Alert:
        return Alert.of(KINDS[name], summary, cause="ingest", link=f"{self.url}/status", about={"type": event_type})


def _type_state(name: str, about: Mapping[str, Any]) -> TypeState:
    return TypeState(
        name,
        about["state"],
        about["why"],
        about["landed"],
        sum(about["dead_lettered"].values()),
        about["watermark_lag_seconds"] or 0.0,
    )
