"""Deletes old events that belong to no run: the sensors' observations and results of checks, except the newest ones."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import dagster as dg
from sqlalchemy import Connection, text

from gcc_platform.retention.runs import NEWEST_CHECKS

_OLD_EVENTS = """
FROM event_logs WHERE run_id = '' AND timestamp < :before
AND id NOT IN (SELECT max(id) FROM event_logs WHERE run_id = '' GROUP BY asset_key, dagster_event_type)
"""
_OLD_CHECKS = f"""
FROM asset_check_executions WHERE run_id = '' AND evaluation_event_timestamp < :before
AND id NOT IN ({NEWEST_CHECKS})
"""
_OLD_TAGS = "FROM asset_event_tags WHERE event_timestamp < :before AND event_id NOT IN (SELECT id FROM event_logs)"


def delete_old_events(instance: dg.DagsterInstance, before: datetime, *, dry_run: bool) -> int:
    """Delete them, or only count them. Returns the number of events.

    With SQLite an event without a run is in two files: a file of its own, and the index over all runs.
    """
    parameters = {"before": before.astimezone(UTC).replace(tzinfo=None)}
    counted = 0
    for connect, statements in _places(instance):
        with connect as connection:
            for statement in statements:
                counted += _apply(connection, statement, parameters, dry_run=dry_run)
    return counted


def _places(instance: dg.DagsterInstance) -> Iterator[tuple[AbstractContextManager[Connection], tuple[str, ...]]]:
    storage = instance.event_log_storage
    yield storage.index_connection(), (_OLD_EVENTS, _OLD_CHECKS, _OLD_TAGS)  # type: ignore[attr-defined]
    if hasattr(storage, "path_for_shard"):
        yield storage.run_connection(""), (_OLD_EVENTS,)  # type: ignore[attr-defined]


def _apply(connection: Connection, statement: str, parameters: dict[str, datetime], *, dry_run: bool) -> int:
    if dry_run:
        return int(connection.execute(text(f"SELECT count(*) {statement}"), parameters).scalar_one())
    return int(connection.execute(text(f"DELETE {statement}"), parameters).rowcount)
