"""The rows of the last fifteen minutes in every raw table: how many events, and how many from the future."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse, quoted

WINDOW = timedelta(minutes=15)
_MARGIN = timedelta(seconds=10)
"""An insert's rows and its line in the ledger may have slightly different times."""
_AHEAD_SECONDS = 300
_DUPLICATES_SHARE = 0.02
"""Above the error of uniqCombined64, about 0.3 %. Redelivery after a crash causes a few duplicates."""
_DUPLICATES_LEAST = 100
_LANDED = """
SELECT type, sum(rows) FROM _e.ingest_batches
WHERE landed_at > {since:DateTime64(3, 'UTC')} AND NOT startsWith(batch, 'migration/') GROUP BY type
"""
"""A migration may bring a chunk twice. While it runs, its rows hide duplicates of the crawls."""


@dataclass(frozen=True)
class RecentRows:
    """The rows of one table that arrived in the window."""

    landed: int
    """As the ledger counted them when they were inserted: merges remove duplicates from the table within minutes."""
    events: int
    """Distinct events among them, approximately."""
    ahead: int
    """Events whose time is more than five minutes after their arrival."""
    most_ahead_seconds: float


def measure(clickhouse: ClickHouse, tables: Iterable[str], now: datetime) -> Mapping[str, RecentRows]:
    """The recent rows of the given tables (`post_log_events`), which must exist. `now` has a time zone."""
    queries = [
        f"SELECT '{table}', uniqCombined64(event_id), "  # noqa: S608  names are the registry's
        f"countIf(event_timestamp > insert_timestamp + {_AHEAD_SECONDS}), "
        "max(toFloat64(event_timestamp) - toFloat64(insert_timestamp)) "
        f"FROM _e.{quoted(table)} WHERE insert_timestamp > {{since:DateTime64(3, 'UTC')}}"
        for table in tables
    ]
    landed = {f"{name}_events": int(rows) for name, rows in clickhouse.rows(_LANDED, {"since": now - WINDOW})}
    rows = clickhouse.rows(" UNION ALL ".join(queries), {"since": now - WINDOW - _MARGIN}) if queries else []
    return {
        table: RecentRows(landed.get(table, 0), int(events), int(ahead), float(most) if events else 0.0)
        for table, events, ahead, most in rows
    }


def check_duplicates(recent: RecentRows) -> Finding:
    """Fails if more than 2 % of what landed repeats an event of the same minutes."""
    duplicates = max(0, recent.landed - recent.events)
    share = duplicates / recent.landed if recent.landed else 0.0
    return Finding(
        "duplicates",
        duplicates < _DUPLICATES_LEAST or share < _DUPLICATES_SHARE,
        f"{duplicates} of the {recent.landed} rows that landed in the last 15 minutes repeat an event ({share:.1%})",
        {"landed": recent.landed, "events": recent.events, "share": round(share, 4)},
    )


def check_event_times(recent: RecentRows) -> Finding:
    """Fails if an event is from the future: it moves "the last 7 days" of everybody."""
    share = recent.ahead / recent.events if recent.events else 0.0
    return Finding(
        "event_times",
        recent.ahead == 0,
        f"{recent.ahead} events of the last 15 minutes ({share:.1%}) are more than 5 minutes ahead of their arrival, "
        f"the most {max(recent.most_ahead_seconds, 0):.0f} s",
        {"ahead": recent.ahead, "share": round(share, 4), "most_ahead_seconds": round(recent.most_ahead_seconds, 1)},
    )
