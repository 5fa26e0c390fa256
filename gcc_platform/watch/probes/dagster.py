"""What is wrong in Dagster: the webserver, daemons, code locations, ticks, runs, and its assets and checks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, request
from gcc_platform.watch.probes import dagster_runs
from gcc_platform.watch.probes.dagster_assets import AssetsProbe
from gcc_platform.watch.probes.dagster_failures import Failures, innermost
from gcc_platform.watch.probes.dagster_query import QUERY
from gcc_platform.watch.seen import Component, Seen

_NAME = "Dagster"
_HEARTBEAT_SECONDS = 150
"""Daemons send one every 30 s. Dagster's own `healthy` allows 1,800 s."""


@dataclass
class DagsterProbe:
    """Looks at one deployment of Dagster, which has no location but ours."""

    url: str
    clock: Callable[[], float]
    started_at: float
    """When the watch started: a refresh that never ran is late only after that."""
    _assets: AssetsProbe = field(init=False)
    _failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        self._assets = AssetsProbe(self.url)
        self._failures = Failures(self.url)

    async def look(self, session: aiohttp.ClientSession) -> Seen:
        """Run the query."""
        try:
            data = (await request(session, "POST", f"{self.url}/graphql", body={"query": QUERY}))["data"]
        except (NoAnswer, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, NoAnswer) else "its answer has no data"
            found = Alert.of(KINDS["DagsterDown"], f"Dagster: {reason}", cause="dagster")
            return Seen((found,), (Component(_NAME, "down", reason),), complete=False)
        runs = data["runsOrError"].get("results", [])
        reasons = {
            run["runId"]: await self._failures.reason(session, run["runId"]) for run in dagster_runs.failed(runs)
        }
        return self._seen(data, runs, reasons)

    def _seen(self, data: Mapping[str, Any], runs: Sequence[dagster_runs.Run], reasons: Mapping[str, str]) -> Seen:
        now = self.clock()
        broken = list(self._locations(data))
        daemons = list(self._daemons(data, now))
        assets = self._assets.look(data["assetNodes"], runs)
        alerts = [
            *broken,
            *daemons,
            *self._ticks(data),
            *dagster_runs.alerts(runs, reasons, self.url, now, self.started_at),
        ]
        wrong = "; ".join(alert.summary for alert in (*broken, *daemons))
        return Seen(
            (*alerts, *assets.alerts),
            (Component(_NAME, "failing" if wrong else "ok", wrong, self.url),),
            runs=dagster_runs.newest(runs, self.url, now),
            assets=assets.assets,
            complete=not broken,  # without its code, Dagster has no assets to look at
        )

    def _locations(self, data: Mapping[str, Any]) -> Iterator[Alert]:
        for name, location in _code(data):
            if location["__typename"] == "PythonError":
                yield self._alert(
                    "CodeLocationFailed",
                    f"the code location {name} does not load: {_first_line(location['message'])}",
                    "/deployment/locations",
                    location=name,
                )

    def _daemons(self, data: Mapping[str, Any], now: float) -> Iterator[Alert]:
        for daemon in data["instance"]["daemonHealth"]["allDaemonStatuses"]:
            silent = now - (daemon["lastHeartbeatTime"] or 0)
            if daemon["required"] and silent > _HEARTBEAT_SECONDS and now - self.started_at > _HEARTBEAT_SECONDS:
                since = f"for {silent:.0f} s" if daemon["lastHeartbeatTime"] else "so far"
                kind = daemon["daemonType"].lower()
                yield self._alert(
                    "DaemonDown",
                    f"Dagster's {kind} daemon sent no heartbeat {since}",
                    "/deployment/daemons",
                    daemon=kind,
                )

    def _ticks(self, data: Mapping[str, Any]) -> Iterator[Alert]:
        for _, location in _code(data):
            for repository in location.get("repositories", []):
                for kind, state in (("sensors", "sensorState"), ("schedules", "scheduleState")):
                    for each in repository[kind]:
                        yield from self._tick(kind, each["name"], each[state])

    def _tick(self, kind: str, name: str, state: Mapping[str, Any]) -> Iterator[Alert]:
        tick = next(iter(state["ticks"]), None)
        if state["status"] == "RUNNING" and tick and tick["status"] == "FAILURE":
            reason = innermost(tick["error"])
            yield self._alert(
                "SensorFailed", f"the last tick of {name} failed: {reason}", f"/automation?{kind}={name}", sensor=name
            )

    def _alert(self, name: str, summary: str, path: str, **about: str) -> Alert:
        return Alert.of(KINDS[name], summary, cause="dagster", link=f"{self.url}{path}", about=about)


def _code(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in data["workspaceOrError"].get("locationEntries", []):
        if entry["locationOrLoadError"]:
            yield entry["name"], entry["locationOrLoadError"]


def _first_line(message: str) -> str:
    """The first line with text, shortened."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no message"
