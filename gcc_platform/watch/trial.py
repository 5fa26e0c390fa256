"""A test alert through the whole way: what each of Alertmanager's receivers answered, from its metrics."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from gcc_platform.watch.alertmanager import Alertmanager
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.memory import Ended, Firing

_WAIT_SECONDS = 60
_LOOK_SECONDS = 0.5
_SENT, _FAILED = "alertmanager_notifications_total", "alertmanager_notifications_failed_total"
_QUIET_LOOKS = 6
"""Receivers are notified together; after the first one the others may take as long as this."""


@dataclass(frozen=True)
class Trial:
    """The integrations (email, slack, webhook, ...) that were sent the alert, and those that failed."""

    sent: tuple[str, ...]
    failed: tuple[str, ...]
    seconds: float


async def try_alert(server: Alertmanager, sender: str, clock: Callable[[], float]) -> Trial:
    """Send an alert, wait for the notifications, and end the alert. Raises NoAnswer.

    Alertmanager counts notifications by integration, not by alert: another alert at the same time counts as well.
    """
    started = clock()
    before = await _counts(server)
    alert = Alert.of(KINDS["TestAlert"], f"a test by {sender}: nothing is wrong", cause=f"test {started:.0f}")
    await server.send([Firing(alert, started)], [])
    sent, failed = await _notified(server, before, started + _WAIT_SECONDS, clock)
    await server.send([], [Ended(alert, started, clock())])
    return Trial(tuple(sorted(sent - failed)), tuple(sorted(failed)), clock() - started)


async def _notified(
    server: Alertmanager, before: Mapping[tuple[str, str], float], deadline: float, clock: Callable[[], float]
) -> tuple[set[str], set[str]]:
    seen: set[tuple[str, str]] = set()
    quiet = 0
    while clock() < deadline and quiet < _QUIET_LOOKS:
        await asyncio.sleep(_LOOK_SECONDS)
        counts = await _counts(server)
        grown = {name for name, count in counts.items() if count > before.get(name, 0.0)}
        quiet = quiet + 1 if seen and grown == seen else 0
        seen = grown
    return {name for family, name in seen if family == _SENT}, {name for family, name in seen if family == _FAILED}


async def _counts(server: Alertmanager) -> Mapping[tuple[str, str], float]:
    """The counters by name and integration."""
    return {
        (sample.name, sample.labels["integration"]): sample.value
        for family in text_string_to_metric_families(await server.metrics())
        for sample in family.samples
        if sample.name in {_SENT, _FAILED}
    }
