"""Why a run failed: its failed steps with their innermost errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gcc_platform.watch.http_client import NoAnswer, request

_QUERY = """
query GccPlatformWatchFailure($run: ID!) {
  logsForRun(runId: $run, limit: 5000) { ... on EventConnection { events {
    __typename
    ... on ExecutionStepFailureEvent { stepKey error { message errorChain { error { message } } } }
    ... on RunFailureEvent { message error { message } } } } }
}
"""
_REMEMBERED = 20
_SHOWN = 300


@dataclass
class Failures:
    """The reasons of the newest failed runs: each is asked for once."""

    url: str
    _reasons: dict[str, str] = field(default_factory=dict)

    async def reason(self, session: aiohttp.ClientSession, run_id: str) -> str:
        """`step: error`, shortened; empty if Dagster does not say."""
        if run_id not in self._reasons:
            try:
                answer = await request(
                    session, "POST", f"{self.url}/graphql", body={"query": _QUERY, "variables": {"run": run_id}}
                )
            except NoAnswer:
                return ""  # asked again at the next look
            self._reasons[run_id] = _reason(answer["data"]["logsForRun"].get("events", []))
            while len(self._reasons) > _REMEMBERED:
                del self._reasons[next(iter(self._reasons))]
        return self._reasons[run_id]


def _reason(events: list[dict[str, Any]]) -> str:
    steps = [event for event in events if event["__typename"] == "ExecutionStepFailureEvent"]
    if steps:
        return "; ".join(f"{event['stepKey']}: {innermost(event['error'])}" for event in steps)[:_SHOWN]
    ends = [event["message"] for event in events if event["__typename"] == "RunFailureEvent"]
    return " ".join(ends).strip()[:_SHOWN]


def innermost(error: Mapping[str, Any] | None) -> str:
    """The first line of the error that caused all others of a chain."""
    if error is None:
        return "no error was recorded"
    chain = [link["error"]["message"] for link in error["errorChain"]]
    lines = [line.strip() for line in (chain or [error["message"]])[-1].splitlines() if line.strip()]
    return lines[0][:_SHOWN] if lines else "no message"
