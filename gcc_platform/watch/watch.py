"""The watch: looks, reports, and waits, until it is stopped."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gcc_platform.watch.alertmanager import Alertmanager, Reported
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer
from gcc_platform.watch.look import Look
from gcc_platform.watch.memory import Firing, Identity, Memory
from gcc_platform.watch.report import Report, report
from gcc_platform.watch.seen import Seen

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass
class Watch:
    """Looks every `seconds`. The last result is in `report`."""

    look: Look
    alertmanager: Alertmanager | None
    seconds: float
    runbook_url: str
    clock: Callable[[], float]
    memory: Memory
    report: Report | None = None
    _shown: set[Identity] = field(default_factory=set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until `stopping` is set."""
        while not stopping.is_set():
            started = self.clock()
            await self.once()
            self._log(self.memory.firing())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), max(0.0, self.seconds - (self.clock() - started)))

    async def once(self) -> Report:
        """Look, and report to Alertmanager."""
        started = self.clock()
        seen = await self.look()
        self.memory.update(seen)
        trouble, reported = await self._send()
        self.memory.update({"alertmanager": Seen(tuple(_alertmanager_down(trouble)))})
        firing = self.memory.firing()
        self.report = report(started, self.clock() - started, seen, firing, reported, trouble, self.runbook_url)
        return self.report

    async def _send(self) -> tuple[str, Sequence[Reported]]:
        """Send the alerts. Returns why that failed, and what Alertmanager has."""
        if self.alertmanager is None:
            return "", ()
        try:
            watchdog = Alert.of(KINDS["Watchdog"], "the watch runs")
            await self.alertmanager.send(self.memory.firing(), self.memory.ended(), [watchdog])
            return "", await self.alertmanager.alerts()
        except NoAnswer as error:
            return str(error), ()

    def _log(self, firing: Sequence[Firing]) -> None:
        """Log what changed: without Alertmanager, the log is all there is."""
        now = {each.alert.identity: each.alert for each in firing}
        for identity in now.keys() - self._shown:
            _log.warning("alert", state="firing", summary=now[identity].summary, **now[identity].labels)
        for identity in self._shown - now.keys():
            _log.info("alert", state="resolved", **dict(identity))
        self._shown = set(now)


def _alertmanager_down(trouble: str) -> list[Alert]:
    return [Alert.of(KINDS["AlertmanagerDown"], f"Alertmanager: {trouble}")] if trouble else []
