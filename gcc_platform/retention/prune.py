"""One pruning of Dagster's history: runs, events without a run, dbt's output of other releases. Files shrink."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from gcc_platform.retention.events import delete_old_events
from gcc_platform.retention.runs import OTHERS, SUCCEEDED, delete_run, in_use, old_runs, surplus_runs
from gcc_platform.retention.settings import RetentionSettings

_BUSY_SECONDS = 30


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be."""

    runs: int
    events: int
    dbt_folders: int
    bytes_before: int
    """Of DAGSTER_HOME."""
    bytes_after: int


def prune(
    instance: dg.DagsterInstance,
    limits: RetentionSettings,
    now: datetime,
    home: Path,
    *,
    dry_run: bool,
    report: Callable[[str], None],
) -> Pruned:
    """Delete what is older than its limit. `now` has a time zone, `home` is DAGSTER_HOME."""
    before = _size(home)
    runs = _runs(instance, limits, now)
    if not dry_run:
        for run_id in runs:
            delete_run(instance, run_id)
    events = delete_old_events(instance, now - limits.events, dry_run=dry_run)
    folders = list(_old_folders(home / "dbt", now - limits.runs))
    if not dry_run:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for file in sorted(home.rglob("*.db")):
            _vacuum(file, report)
    return Pruned(len(runs), events, len(folders), before, _size(home))


def _runs(instance: dg.DagsterInstance, limits: RetentionSettings, now: datetime) -> list[str]:
    """The ids of those to delete, each once, without those in use."""
    found = (
        *old_runs(instance, SUCCEEDED, now - limits.runs),
        *old_runs(instance, OTHERS, now - limits.failed_runs),
        *surplus_runs(instance, limits.most_runs),
    )
    used = in_use(instance)
    return [run_id for run_id in dict.fromkeys(found) if run_id not in used]


def _old_folders(parent: Path, before: datetime) -> Iterator[Path]:
    """dbt's folders of other releases: the present one was written to by the last refresh."""
    if parent.is_dir():
        for folder in parent.iterdir():
            newest = max((path.stat().st_mtime for path in folder.rglob("*")), default=folder.stat().st_mtime)
            if newest < before.timestamp():
                yield folder


def _vacuum(file: Path, report: Callable[[str], None]) -> None:
    """Give the space of deleted rows back. A file that stays busy is vacuumed the next time."""
    try:
        with closing(sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        report(f"{file} could not be vacuumed: {error}")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
