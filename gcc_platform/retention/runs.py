"""Deletes old runs with their events and logs, except those that hold the newest state of an asset or a check."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from sqlalchemy import text

_BATCH = 100
NEWEST_CHECKS = "SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name"
SUCCEEDED = [DagsterRunStatus.SUCCESS]
OTHERS = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def old_runs(instance: dg.DagsterInstance, statuses: list[DagsterRunStatus], before: datetime) -> Iterator[str]:
    """The ids of the runs in these states that were created before a time, oldest first."""
    cursor = None
    while True:
        records = instance.get_run_records(
            RunsFilter(statuses=statuses, created_before=before), limit=_BATCH, cursor=cursor, ascending=True
        )
        yield from (record.dagster_run.run_id for record in records)
        if len(records) < _BATCH:
            return
        cursor = records[-1].dagster_run.run_id


def surplus_runs(instance: dg.DagsterInstance, most: int) -> Iterator[str]:
    """The ids of the runs that have ended, without the newest `most` of them, oldest first."""
    yield from reversed(instance.get_run_ids(RunsFilter(statuses=[*SUCCEEDED, *OTHERS]))[most:])


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, its events, and its files: Dagster leaves the empty database of the run and its logs."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    for path in _files(instance, run_id):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(instance.storage_directory(), run_id).rmdir()


def _files(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """The files of the run's own SQLite database; none with PostgreSQL."""
    path_for_shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if path_for_shard is not None:
        for suffix in ("", "-wal", "-shm"):
            yield Path(path_for_shard(run_id) + suffix)


def in_use(instance: dg.DagsterInstance) -> set[str]:
    """The ids of the runs from which Dagster shows an asset's last materialization or a check's last result."""
    found: set[str] = set()
    for record in instance.get_asset_records():
        entry = record.asset_entry
        for last in (entry.last_materialization_record, entry.last_observation_record):
            if last is not None:
                found.add(last.run_id)
    return found | _of_last_checks(instance)


def _of_last_checks(instance: dg.DagsterInstance) -> set[str]:
    query = f"SELECT DISTINCT run_id FROM asset_check_executions WHERE id IN ({NEWEST_CHECKS})"  # noqa: S608  ours
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        return {str(run_id) for (run_id,) in connection.execute(text(query))}
