"""What is wrong with Dagster's assets: those that are late, and checks that failed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gcc_platform.watch.alerts import Alert, Severity
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.seen import Assets
from ingest_service.events.registry import EVENT_TYPES

Node = Mapping[str, Any]
Check = Mapping[str, Any]

_LATE = {"WARNING": Severity.WARN, "DEGRADED": Severity.PAGE}
_SEEN_DIRECTLY = {"queue", "dead_letters", "empty"}
"""Checks of raw tables and queues whose fault the watch sees itself, sooner."""
_HEALTH = "platform/health"
"""The asset that repeats the watch's own alerts."""
_TYPES = {f"raw/{each.table.rpartition('.')[2]}": each.name for each in EVENT_TYPES.values()}


@dataclass(frozen=True)
class SeenAssets:
    """The alerts, and the numbers for the status page."""

    alerts: tuple[Alert, ...]
    assets: Assets


@dataclass
class AssetsProbe:
    """Remembers which checks failed: a check that is being evaluated says nothing of itself meanwhile."""

    url: str
    _failed: dict[tuple[str, str], Alert] = field(default_factory=dict)

    def look(self, nodes: Sequence[Node], runs: Sequence[Mapping[str, Any]]) -> SeenAssets:
        """The state of all assets and checks. `runs` are the newest runs."""
        jobs = {run["runId"]: run["jobName"] for run in runs}
        failed_runs = {run["runId"] for run in runs if run["status"] in {"FAILURE", "CANCELED"}}
        named = {"/".join(node["assetKey"]["path"]): node for node in nodes}
        alerts: list[Alert] = []
        for key, node in named.items():
            alerts += self._late(key, node)
            for check in _checks(node):
                if key != _HEALTH and check["name"] not in _SEEN_DIRECTLY:
                    alerts += self._check(key, node, check, jobs, failed_runs)
        return SeenAssets(tuple(alerts), _numbers(named))

    def _late(self, key: str, node: Node) -> Iterator[Alert]:
        status = (node["freshnessStatusInfo"] or {}).get("freshnessStatus")
        if status in _LATE:
            yield Alert.of(
                KINDS["AssetLate"],
                f"{key} is late",
                cause="refresh" if node["isMaterializable"] else f"late {key}",
                severity=_LATE[status],
                team=_team(node),
                link=f"{self.url}/assets/{key}",
                about={"asset": key, **_type(key)},
            )

    def _check(
        self, key: str, node: Node, check: Check, jobs: Mapping[str, str], failed_runs: set[str]
    ) -> Iterator[Alert]:
        name = (key, check["name"])
        last = check["executionForLatestMaterialization"]
        if _says_nothing(last, failed_runs):
            if name in self._failed:
                yield self._failed[name]
        elif last["status"] in {"FAILED", "EXECUTION_FAILED"}:
            self._failed[name] = self._failure(key, node, check, jobs)
            yield self._failed[name]
        else:
            self._failed.pop(name, None)

    def _failure(self, key: str, node: Node, check: Check, jobs: Mapping[str, str]) -> Alert:
        last = check["executionForLatestMaterialization"]
        evaluation = last["evaluation"] or {"severity": "ERROR", "description": "the check could not be evaluated"}
        return Alert.of(
            KINDS["CheckFailed"],
            f"{key}: {evaluation['description'] or check['name']}",
            cause=jobs.get(last["runId"]) or f"check {check['name']}",
            severity=Severity.PAGE if evaluation["severity"] == "ERROR" else Severity.WARN,
            team=_team(node),
            link=f"{self.url}/assets/{key}?view=checks&checkDetail={check['name']}",
            about={"asset": key, "check": check["name"], **_type(key)},
        )


def _says_nothing(last: Mapping[str, Any] | None, failed_runs: set[str]) -> bool:
    """A check that is queued, running or skipped, or whose run failed around it: then the run is the news."""
    if last is None or last["status"] in {"IN_PROGRESS", "SKIPPED"}:
        return True
    return last["status"] == "EXECUTION_FAILED" and last["runId"] in failed_runs


def _checks(node: Node) -> Sequence[Check]:
    checks: Sequence[Check] = (node["assetChecksOrError"] or {}).get("checks", [])
    return checks


def _team(node: Node) -> str:
    return next((owner["team"] for owner in node["owners"] if owner), "")


def _type(key: str) -> dict[str, str]:
    return {"type": _TYPES[key]} if key in _TYPES else {}


def _numbers(nodes: Mapping[str, Node]) -> Assets:
    freshness = Counter(
        node["freshnessStatusInfo"]["freshnessStatus"] for node in nodes.values() if node["freshnessStatusInfo"]
    )
    checks = Counter(
        (check["executionForLatestMaterialization"] or {"status": "UNKNOWN"})["status"]
        for node in nodes.values()
        for check in _checks(node)
    )
    return Assets(dict(freshness), dict(checks), {key: _team(node) for key, node in nodes.items()})
