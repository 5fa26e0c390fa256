"""Builds the marts of both sides by the same models, each into a database of its own.

Each time from nothing: a cut moves with time, and a model that is built by arrival would miss what it uncovers. What it
costs follows the days that are cut out, and not what is stored.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcc_platform import project
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import cut
from gcc_platform.resources.dbt_environment import warehouse
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.errors import UserError
from ingest_service.events.registry import EVENT_TYPES

OF_EVENTS = "warehouse_events"
"""The marts of the events in ClickHouse."""
OF_ROWS = "warehouse_legacy"
"""The marts of the rows in PostgreSQL."""

_SIDES = {OF_EVENTS: cut.EVENTS, OF_ROWS: cut.ROWS}
_DBT = Path(sys.executable).with_name("dbt")
_SECONDS = 3600
_RAW_TABLES = [each.table.partition(".")[2].removesuffix("_events") for each in EVENT_TYPES.values()]


class BuildFailed(UserError):
    """dbt could not build the marts of one side. The message has the end of its output."""


async def build(clickhouse: ClickHouse, url: str, tables: Sequence[LegacyTable]) -> None:
    """Build what depends on these tables, of both sides at once; `url` is ClickHouse's. Raises BuildFailed.

    A side that cannot be built ends the other.
    """
    for database in _SIDES:
        await clickhouse.command(f"DROP DATABASE IF EXISTS {database}")
    with tempfile.TemporaryDirectory(prefix="gcc-marts-") as folder:
        failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for database in _SIDES:
                    group.create_task(_build(database, url, tables, Path(folder) / database))
        except* BuildFailed as both:
            failed.extend(both.exceptions)
        if failed:
            raise failed[0]  # one side's output is enough to act on, and commands print no groups


async def _build(database: str, url: str, tables: Sequence[LegacyTable], folder: Path) -> None:
    source = str(project.root() / "dbt_project" / "warehouse")
    # @: what depends on them, and what that depends on.
    selected = [f"@source:beat.{table.raw_table.partition('.')[2]}" for table in tables]
    process = await asyncio.create_subprocess_exec(
        _DBT, "--no-use-colors", "--log-level-file", "none", "run", "--project-dir", source, "--profiles-dir", source,
        "--target-path", str(folder), "--select", *selected,
        env={**os.environ, **_environment(database, url)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    except (TimeoutError, asyncio.CancelledError):
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        raise BuildFailed(f"dbt cannot build {database}:\n{output.decode(errors='replace')[-3000:]}")


def _environment(database: str, url: str) -> Mapping[str, str]:
    """All raw tables are read from this side's views."""
    return {
        **warehouse(url),
        "DBT_CLICKHOUSE_SCHEMA": database,
        "DBT_LEGACY_SCHEMA": _SIDES[database],
        "DBT_LEGACY_TABLES": ",".join(_RAW_TABLES),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
