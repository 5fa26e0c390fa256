"""Runs of Dagster that raise, or never end."""

from pathlib import Path

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


_WITH_A_JOB_THAT_HANGS = """
import time
from pathlib import Path
import dagster as dg
from gcc_platform import definitions as whole  # a file may have one Definitions object

@dg.op
def waits() -> None:
    while not Path({until!r}).exists():
        time.sleep(1)

@dg.job(executor_def=dg.in_process_executor)
def job_that_hangs() -> None:
    waits()

defs = dg.Definitions.merge(whole.defs, dg.Definitions(jobs=[job_that_hangs]))
"""


class _Run:
    """The run that a fault has started."""

    def __init__(self) -> None:
        self._id = ""

    def of_a_check_that_raises(self, platform: Platform) -> None:
        """Launch it; Dagster's code has the check."""
        platform.load_definitions(_WITH_A_CHECK_THAT_RAISES)
        self._id = platform.launch("job_of_a_check")

    def forget(self, platform: Platform) -> None:
        """Take the check away, and its run."""
        platform.load_definitions()
        platform.delete_run(self._id)

    def that_hangs(self, platform: Platform) -> None:
        """Launch it; its step waits for a file."""
        platform.load_definitions(_WITH_A_JOB_THAT_HANGS.format(until=str(_until(platform))))
        self._id = platform.launch("job_that_hangs")

    def that_goes_on(self, platform: Platform) -> None:
        """Let it end."""
        _until(platform).touch()
        platform.load_definitions()


def _until(platform: Platform) -> Path:
    return platform.directory / "the_run_goes_on"


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
        {"alertname": "RunHangs", "severity": "page", "job": "job_that_hangs"},
        seconds=720,
        text="started for 10 minutes",
    ),
)
