"""Runs of Dagster that raise, or never end."""

import os
import re
import signal

from tests.harness.running import eventually
from tests.oncall.fault import Fault
from tests.oncall.platform import Platform

_WITH_A_CHECK_THAT_RAISES = """
import dagster as dg
from gcc_platform import definitions as whole  # a file may have one Definitions object

@dg.asset_check(asset=dg.AssetKey(["raw", "order_log_events"]))
def raises() -> dg.AssetCheckResult:
    raise ValueError("this check has a defect")

job = dg.define_asset_job(
    "job_of_a_check", selection=dg.AssetSelection.checks(raises), executor_def=dg.in_process_executor
)
defs = dg.Definitions.merge(whole.defs, dg.Definitions(asset_checks=[raises], jobs=[job]))
"""


_EVENTS = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run {
    eventConnection { events { ... on MessageEvent { message } } } } } }
"""


class _Run:
    """The run that a fault has started."""

    def __init__(self) -> None:
        self._id = ""
        self._pid = 0

    def of_a_check_that_raises(self, platform: Platform) -> None:
        """Launch it; Dagster's code has the check."""
        platform.load_definitions(_WITH_A_CHECK_THAT_RAISES)
        self._id = platform.launch("job_of_a_check")

    def forget(self, platform: Platform) -> None:
        """Take the check away, and its run."""
        platform.load_definitions()
        platform.delete_run(self._id)

    def that_hangs(self, platform: Platform) -> None:
        """Launch it, and stop its process before it does anything."""
        self._id = platform.launch("raw_checks")
        self._pid = eventually(lambda: self._process(platform), 120, "the process of the run")
        os.kill(self._pid, signal.SIGSTOP)

    def that_goes_on(self, platform: Platform) -> None:
        """Let it end."""
        os.kill(self._pid, signal.SIGCONT)

    def _process(self, platform: Platform) -> int:
        """By the run's own events; 0 before it has started."""
        events = platform.graphql(_EVENTS, id=self._id)["runOrError"]["eventConnection"]["events"]
        messages = " ".join(event.get("message", "") for event in events)
        found = re.search(r"\(pid: (\d+)\)", messages)
        return int(found[1]) if found else 0


_RUN = _Run()

FAULTS = (
    Fault(
        "a check raises",
        _RUN.of_a_check_that_raises,
        _RUN.forget,
        {"alertname": "RunFailed", "job": "job_of_a_check"},
        seconds=120,
        text="this check has a defect",
    ),
    Fault(
        "a run hangs",
        _RUN.that_hangs,
        _RUN.that_goes_on,
        {"alertname": "RunHangs", "severity": "page", "job": "raw_checks"},
        seconds=720,
        text="started for 10 minutes",
    ),
)
