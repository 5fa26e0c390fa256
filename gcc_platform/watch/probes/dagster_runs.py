"""What is wrong with Dagster's runs: failed, hanging, or none for too long."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.seen import LastRun

Run = Mapping[str, Any]

REFRESH = "refresh"
_HANGS_SECONDS = 600
_LATE_SECONDS = 45 * 60
"""Three refreshes."""
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
STARTED_BY = "gcc/started_by"


def failed(runs: Sequence[Run]) -> list[Run]:
    """The newest run of each job, where it failed."""
    return [run for run in _newest_ended(runs).values() if run["status"] == "FAILURE"]


def alerts(
    runs: Sequence[Run], reasons: Mapping[str, str], url: str, now: float, watching_since: float
) -> Iterator[Alert]:
    """`runs` are the newest ones, newest first, `reasons` by run id; times are epoch seconds."""
    for run in failed(runs):
        job = run["jobName"]
        summary = f"run {run['runId'][:8]} of {job} failed: {reasons.get(run['runId']) or 'see its page'}"
        yield Alert.of(KINDS["RunFailed"], summary, cause=job, link=_link(url, run), about={"job": job})
    for run in runs:
        if run["status"] not in _ENDED and (seconds := _age(run, now)) > _HANGS_SECONDS:
            summary = (
                f"run {run['runId'][:8]} of {run['jobName']} is {run['status'].lower()} for {seconds / 60:.0f} minutes"
            )
            yield Alert.of(
                KINDS["RunHangs"], summary, cause=run["jobName"], link=_link(url, run), about={"job": run["jobName"]}
            )
    yield from _late(runs, url, now, watching_since)


def newest(runs: Sequence[Run], url: str, now: float) -> tuple[LastRun, ...]:
    """The newest run of each job that has ended."""
    running = {run["jobName"]: _age(run, now) for run in runs if run["status"] not in _ENDED}
    return tuple(
        LastRun(
            job,
            run["status"],
            run["endTime"] or 0.0,
            (run["endTime"] or 0.0) - (run["startTime"] or run["endTime"] or 0.0),
            _started_by(run),
            _link(url, run),
            running.get(job),
        )
        for job, run in _newest_ended(runs).items()
    )


def _late(runs: Sequence[Run], url: str, now: float, watching_since: float) -> Iterator[Alert]:
    succeeded = [run["endTime"] for run in runs if run["jobName"] == REFRESH and run["status"] == "SUCCESS"]
    last = max(succeeded, default=None)
    if now - max(last or 0, watching_since if last is None else 0) <= _LATE_SECONDS:
        return
    since = f"{(now - last) / 60:.0f} minutes ago" if last else "never, as far as the last runs show"
    yield Alert.of(
        KINDS["RefreshLate"],
        f"the last successful refresh ended {since}",
        cause=REFRESH,
        link=f"{url}/jobs",
        about={"job": REFRESH},
    )


def _newest_ended(runs: Sequence[Run]) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in runs:
        if run["status"] in _ENDED:
            found.setdefault(run["jobName"], run)
    return found


def _age(run: Run, now: float) -> float:
    return now - float(run["startTime"] or run["creationTime"])


def _started_by(run: Run) -> str:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    return str(tags.get(STARTED_BY, ""))


def _link(url: str, run: Run) -> str:
    return f"{url}/runs/{run['runId']}"
