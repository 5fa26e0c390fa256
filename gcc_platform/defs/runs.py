"""The refresh that is under way, if any: there must never be two at once."""

import os
import socket
import time
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from gcc_platform.defs.outcome import REFRESH

STARTED_BY = "gcc/started_by"
PROCESS = "gcc/process"
"""`host:pid` of a refresh that runs in the command's own process: nobody else notices if that is killed."""

_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Unfinished:
    """A refresh that is queued or running."""

    run_id: str
    seconds: float
    started_by: str

    @property
    def ago(self) -> str:
        """When it started."""
        return f"{self.seconds:.0f} s ago"

    @property
    def path(self) -> str:
        """Its page in Dagster."""
        return f"/runs/{self.run_id}"


def unfinished(instance: dg.DagsterInstance) -> Unfinished | None:
    """The newest such run. One whose process on this machine is gone is marked as failed instead."""
    for record in instance.get_run_records(RunsFilter(job_name=REFRESH, statuses=_UNFINISHED)):
        run = record.dagster_run
        if _is_dead(run.tags.get(PROCESS, "")):
            instance.report_run_failed(run, message="The process of this refresh was killed.")
            continue
        seconds = time.time() - (record.start_time or record.create_timestamp.timestamp())
        return Unfinished(run.run_id, seconds, run.tags.get(STARTED_BY, "Dagster"))
    return None


def this_process() -> str:
    """The value of PROCESS for a run of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_dead(process: str) -> bool:
    host, _, pid = process.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
