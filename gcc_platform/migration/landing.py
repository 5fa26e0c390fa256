"""Inserts migrated rows into a raw table; the ledger accounts for them as for every other insert."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from gcc_platform.migration.legacy_table import LegacyTable
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.errors import ErrorClass, InsertFailed, classify

BATCH_PREFIX = "migration/"
"""Of the ledger's column `batch`: rows that did not come through the broker."""

_SETTINGS = {
    "input_format_null_as_default": 0,  # a missing value is an error, not an empty text
    "throw_on_max_partitions_per_insert_block": 0,  # a chunk of old rows may span years
}
_PASSING = {ErrorClass.TRANSIENT, ErrorClass.PRESSURE}
_log = structlog.get_logger()


async def land(clickhouse: ClickHouse, table: LegacyTable, lines: Sequence[bytes], batch: str, retry: Backoff) -> None:
    """Insert lines in the order of `table.event_columns`, and repeat it until ClickHouse has confirmed them.

    `batch` has to be another one for other lines: ClickHouse inserts a batch once. Raises InsertFailed if it is not a
    matter of time.
    """
    attempt = 1
    while lines:
        comment: dict[str, str | int] = {
            "batch": BATCH_PREFIX + batch,
            "bytes": sum(map(len, lines)) + len(lines),
            "attempt": attempt,
            "sent_ms": time.time_ns() // 1_000_000,
        }
        try:
            await clickhouse.insert(
                table.raw_table, lines, BATCH_PREFIX + batch, comment, table.event_columns, _SETTINGS, "TabSeparated"
            )
        except InsertFailed as error:
            if classify(error).error_class not in _PASSING:
                raise
            seconds = retry.seconds(attempt)
            _log.warning("waiting for ClickHouse", batch=batch, error=str(error), seconds=round(seconds, 1))
            await asyncio.sleep(seconds)
            attempt += 1
        else:
            return
