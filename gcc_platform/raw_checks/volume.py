"""Volume: the rows of the last five minutes, compared with the same minutes of earlier days or with the last hour.

A type that is steady and stops is noticed after five minutes, long before its rows are too old. Rows are counted in the
ledger, which has one line per insert; what a migration brings is not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse

WINDOW = timedelta(minutes=5)
_DAYS = 7
_DAYS_NEEDED = 3
"""With fewer days of history, the last hour is the measure."""
_HOUR_WINDOWS = 12
_LEAST_EXPECTED = 15
"""Below that, no rows at all can be chance: of 15 expected by a Poisson process, none arrive once in three million."""
_SHARE = 0.1
"""Fails below this share of what is expected: crawls are bursty, and half of the usual rows are no fault."""

_QUERY = """
WITH {now:DateTime64(3, 'UTC')} AS this, toUnixTimestamp(this) - toUnixTimestamp(landed_at) AS ago
SELECT type, multiIf(ago < 300, 0, ago < 3900, intDiv(ago, 300), 1000 + intDiv(ago, 86400)) AS bucket, sum(rows)
FROM _e.ingest_batches
WHERE landed_at <= this
  AND (landed_at > this - INTERVAL 3900 SECOND OR arrayExists(
    day -> landed_at > this - toIntervalSecond(day * 86400 + 300) AND landed_at <= this - toIntervalSecond(day * 86400),
    range(1, 8)))
  AND landed_at > this - INTERVAL 8 DAY
  AND NOT startsWith(batch, 'migration/')
GROUP BY type, bucket
"""
_OLDEST = "SELECT type, min(landed_at) FROM _e.ingest_batches WHERE NOT startsWith(batch, 'migration/') GROUP BY type"


@dataclass(frozen=True)
class Volume:
    """The rows of one type, each number those of five minutes."""

    recent: int = 0
    last_hour: Sequence[int] = field(default=())
    same_minutes_of_earlier_days: Sequence[int] = field(default=())

    @property
    def expected(self) -> float:
        """The median of earlier days, or in the first days of the last hour; 0 without a history."""
        enough = len(self.same_minutes_of_earlier_days) >= _DAYS_NEEDED
        history = self.same_minutes_of_earlier_days if enough else self.last_hour
        return float(median(history)) if history else 0.0


def measure(clickhouse: ClickHouse, now: datetime) -> Mapping[str, Volume]:
    """The volume of each type that ever had an insert. `now` has a time zone."""
    since = {str(name): oldest for name, oldest in clickhouse.rows(_OLDEST)}
    counts: dict[tuple[str, int], int] = {
        (str(name), int(bucket)): int(rows) for name, bucket, rows in clickhouse.rows(_QUERY, {"now": now})
    }
    return {
        name: Volume(
            counts.get((name, 0), 0),
            [
                counts.get((name, window), 0)
                for window in range(1, _HOUR_WINDOWS + 1)
                if since_ <= now - WINDOW * (window + 1)
            ],
            [
                counts.get((name, 1000 + day), 0)
                for day in range(1, _DAYS + 1)
                if since_ <= now - timedelta(days=day) - WINDOW
            ],
        )
        for name, since_ in since.items()
    }


def check(volume: Volume) -> Finding:
    """Fails if much less arrived than is usual."""
    expected = volume.expected
    passed = expected < _LEAST_EXPECTED or volume.recent >= expected * _SHARE
    return Finding(
        "volume",
        passed,
        f"{volume.recent} rows arrived in the last 5 minutes, {expected:.0f} are usual",
        {"rows": volume.recent, "usual_rows": expected},
        is_error=True,
    )
