"""Freshness: the age of a raw table's newest row, against the limit of its dbt source."""

from datetime import datetime, timedelta

from gcc_platform.raw_checks.finding import Finding


def check(rows: int, newest_insert: datetime | None, limit: timedelta | None, now: datetime) -> Finding:
    """Fails if the newest row is older than the limit, or if the table has rows and none is found.

    `newest_insert` is None if no row was found since the last report.
    """
    if newest_insert is None and rows:
        return Finding(
            "freshness",
            False,
            f"the table has {rows} rows, and none of them arrived since the last report: rows were deleted",
            {"rows": rows},
        )
    if newest_insert is None:
        return Finding("freshness", True, "no event has ever arrived", {"rows": 0})
    age = now - newest_insert
    numbers = {"rows": rows, "minutes_since_insert": round(age.total_seconds() / 60, 1)}
    description = f"the newest row arrived {age.total_seconds() / 60:.0f} minutes ago"
    if limit is None:
        return Finding("freshness", True, description, numbers)
    return Finding("freshness", age <= limit, f"{description}, the limit is {limit.total_seconds() / 60:.0f}", numbers)
