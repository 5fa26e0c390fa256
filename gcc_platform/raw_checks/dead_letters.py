"""Dead letters: those archived in the last fifteen minutes, by reason, and their share of all messages."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse

WINDOW = timedelta(minutes=15)
_ERROR_SHARE = 0.05

# Letters whose message did not say when it was rejected are in the partition of 1970.
_QUERY = """
SELECT event_type, reason, count()
FROM _e.dead_letter_events
WHERE archived_at > {since:DateTime64(3, 'UTC')}
  AND (first_rejected_at > {since:DateTime64(3, 'UTC')} - INTERVAL 60 DAY OR first_rejected_at < '1971-01-01')
GROUP BY event_type, reason
"""


def measure(clickhouse: ClickHouse, now: datetime) -> Mapping[str, Mapping[str, int]]:
    """The numbers of new letters, by event type and reason. `now` has a time zone."""
    found: dict[str, dict[str, int]] = {}
    for name, reason, count in clickhouse.rows(_QUERY, {"since": now - WINDOW}):
        found.setdefault(str(name), {})[str(reason)] = int(count)
    return found


def check(letters: Mapping[str, int], landed: int) -> Finding:
    """Fails if there is any; it is an error above 5 % of all messages. `landed` are the rows of the same minutes."""
    count = sum(letters.values())
    share = count / (count + landed) if count else 0.0
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(letters.items()))
    return Finding(
        "dead_letters",
        count == 0,
        f"{count} dead letters in the last 15 minutes"
        + (f" ({share:.1%} of the messages): {reasons}" if count else ""),
        {"dead_letters": count, "share": round(share, 4)},
        is_error=share > _ERROR_SHARE,
    )
