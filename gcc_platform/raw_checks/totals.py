"""Totals: the numbers of the dead letters and of the ledger that Dagster plots. Nothing here passes or fails."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gcc_platform.resources.clickhouse import ClickHouse

Numbers = Mapping[str, int | float]

_SIZE = "SELECT total_rows, total_bytes FROM system.tables WHERE database = '_e' AND name = {name:String}"

# count() reads the smallest column, and a letter that failed again counts once more until it is merged.
_LETTERS = """
SELECT event_type, count(), max(archived_at) FROM _e.dead_letter_events GROUP BY event_type ORDER BY event_type
"""

_WINDOW = timedelta(minutes=15)
_INSERTS = """
SELECT type, count(), sum(rows), max(attempts), sum(redelivered), max(insert_ms), max(landed_at)
FROM _e.ingest_batches WHERE landed_at > {since:DateTime64(3, 'UTC')} GROUP BY type ORDER BY type
"""


def of_dead_letters(clickhouse: ClickHouse, now: datetime) -> Numbers:
    """How many letters were archived, by event type, and the age of the newest. Raises ClickHouseFailed."""
    rows = clickhouse.rows(_LETTERS)
    newest = max((archived_at for _, _, archived_at in rows), default=None)
    return {
        **_size(clickhouse, "dead_letter_events"),
        **({"seconds_since_newest": (now - newest).total_seconds()} if newest else {}),
        **{f"rows_of_{name}": int(count) for name, count, _ in rows},
    }


def of_ledger(clickhouse: ClickHouse, now: datetime) -> Numbers:
    """What landed in the last fifteen minutes, in all and by event type. Raises ClickHouseFailed."""
    rows = clickhouse.rows(_INSERTS, {"since": now - _WINDOW})
    size = _size(clickhouse, "ingest_batches")
    if not rows:
        return {**size, "inserts_in_15_minutes": 0, "rows_in_15_minutes": 0}
    names, inserts, landed, attempts, redelivered, slowest, newest = zip(*rows, strict=True)
    return {
        **size,
        "inserts_in_15_minutes": int(sum(inserts)),
        "rows_in_15_minutes": int(sum(landed)),
        "most_attempts": int(max(attempts)),
        "redelivered": int(sum(redelivered)),
        "slowest_insert_ms": int(max(slowest)),
        "seconds_since_newest": (now - max(newest)).total_seconds(),
        **{f"rows_of_{name}": int(count) for name, count in zip(names, landed, strict=True)},
    }


def _size(clickhouse: ClickHouse, table: str) -> Numbers:
    """Rows and bytes; nothing of a table that does not exist."""
    return {
        name: int(value or 0)
        for row in clickhouse.rows(_SIZE, {"name": table})
        for name, value in zip(("rows", "bytes"), row, strict=True)
    }
