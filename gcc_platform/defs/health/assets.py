"""platform/health: an asset with a check per alert, so that Dagster's UI shows what the watch knows."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from gcc_platform.defs.reported import PASSED, Reported
from gcc_platform.watch.alerts import Kind
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, http_session, request
from gcc_platform.watch.report import Line, Report
from gcc_platform.watch.settings import WatchSettings

KEY = dg.AssetKey(["platform", "health"])
_WATCH = "WatchDown"
_ELSEWHERE = {"CheckFailed", "AssetLate", "DagsterDown", "TestAlert", "Watchdog"}
"""Those that other assets show, that cannot be shown here, or that are nothing wrong."""
CHECKED: Sequence[Kind] = [kind for kind in KINDS.values() if kind.name not in _ELSEWHERE]

health = dg.AssetSpec(
    KEY,
    group_name="platform",
    kinds={"python"},
    owners=["team:platform"],
    description="The servers, services, queues, disks and Dagster itself, as gcc-platform watch sees them: a check per "
    "alert. docs/operations.md has a runbook entry for each.",
    metadata={"status": dg.MetadataValue.url(WatchSettings().own_url)},
)


@dataclass(frozen=True)
class Result:
    """The result of one check."""

    kind: Kind
    passed: bool
    description: str
    is_urgent: bool

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        """Dagster's word for it."""
        return dg.AssetCheckSeverity.ERROR if self.is_urgent else dg.AssetCheckSeverity.WARN


@dg.multi_asset_check(
    name="check_health",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(kind.name, asset=KEY, description=f"{kind.name} does not fire. If it does: {kind.do}")
        for kind in CHECKED
    ],
)
def health_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Ask the watch now."""
    selected = {check.name for check in context.selected_asset_check_keys}
    for result in results():
        if result.kind.name in selected:
            yield dg.AssetCheckResult(
                asset_key=KEY,
                check_name=result.kind.name,
                passed=result.passed,
                severity=result.severity,
                description=result.description,
            )


@dg.sensor(
    name="platform_health",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks gcc-platform watch every 30 s what is wrong, and reports what changed as checks.",
)
def health_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Report what has changed. It requests no runs."""
    reported = Reported.from_cursor(context.cursor)
    news = [
        _evaluation(result)
        for result in results()
        if reported.is_news(result.kind.name, PASSED if result.passed else result.severity.value)
    ]
    return dg.SensorResult(
        asset_events=news,
        cursor=reported.as_cursor(),
        skip_reason=f"This sensor requests no runs. It reported {len(news)} results of checks.",
    )


def results() -> Iterator[Result]:
    """The results of all checks. If the watch does not answer, only that is known."""
    try:
        report = asyncio.run(_report())
    except NoAnswer as error:
        yield Result(KINDS[_WATCH], False, f"gcc-platform watch: {error}. Nobody is notified of alerts", is_urgent=True)
        return
    lines: dict[str, list[Line]] = {}
    for line in report.alerts:
        lines.setdefault(line.name, []).append(line)
    yield from (_result(kind, lines) for kind in CHECKED)


async def _report() -> Report:
    async with http_session() as session:
        return Report.from_json(await request(session, "GET", f"{WatchSettings().own_url}/status.json"))


def _result(kind: Kind, lines: Mapping[str, Sequence[Line]]) -> Result:
    found = lines.get(kind.name, ())
    return Result(
        kind,
        not found,
        "; ".join(line.summary for line in found) or "ok",
        any(line.severity == "page" for line in found),
    )


def _evaluation(result: Result) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=KEY,
        check_name=result.kind.name,
        passed=result.passed,
        metadata={},
        severity=result.severity,
        description=result.description,
        blocking=False,
    )
