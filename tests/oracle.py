"""What the marts must hold, computed from the events in plain Python by the documented rules.

It knows no SQL and nothing of the project, so that an error there is not repeated here. The rules:

- An event counts once, however often it was delivered: event_id tells copies apart.
- The day of an event is the UTC date of its event_timestamp; a timestamp without a zone is UTC.
- A day's value is the newest non-null one by event_timestamp; at the same instant the greater event_id, as text, wins.
- Whole metrics are cut to whole numbers; what is no number, or does not fit into 64 bits, is null.
- A leaderboard ranks by the newest day that has a value; equal values share a rank, and the next ranks are skipped.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

Event = Mapping[str, Any]
Row = dict[str, Any]
Key = tuple[Hashable, ...]

PROFILE_KEY = ("platform", "profile_id", "date")
PROFILE_COUNTS = ("followers", "following", "posts", "subscribers", "views", "videos", "reach")
PROFILE_AVERAGES = ("avg_likes", "avg_comments", "avg_views")

POST_KEY = ("platform", "profile_id", "shortcode", "date")
POST_COUNTS = (
    "views", "likes", "dislikes", "comments", "shares", "saves", "plays", "reach", "impressions",
)  # fmt: skip
POST_AVERAGES = ("engagement",)


def profile_timeseries(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_profile_timeseries by (platform, profile_id, date)."""

    def values(event: Event) -> Row:
        return {"handle": event.get("handle")} | _metrics(event, PROFILE_COUNTS, PROFILE_AVERAGES)

    return _timeseries(events, PROFILE_KEY, values)


def post_timeseries(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_post_timeseries by (platform, profile_id, shortcode, date)."""

    def values(event: Event) -> Row:
        published = event.get("publish_time")
        return {
            "handle": event.get("handle"),
            "publish_time": None if published is None else moment(published),
        } | _metrics(event, POST_COUNTS, POST_AVERAGES)

    return _timeseries(events, POST_KEY, values)


def leaderboard(post_events: Iterable[Event], profile_events: Iterable[Event] = ()) -> list[Row]:
    """The rows of mart_leaderboard, by platform, leaderboard, rank and key."""
    profiles = profile_timeseries(profile_events).values()
    audiences = [
        row | {"audience": row["subscribers"] if row["followers"] is None else row["followers"], "shortcode": ""}
        for row in profiles
    ]
    rows = [
        *_ranked("posts_by_views", post_timeseries(post_events).values(), "views"),
        *_ranked("profiles_by_followers", audiences, "audience"),
    ]
    return sorted(
        rows,
        key=lambda row: (row["platform"], row["leaderboard"], row["rank"], row["profile_id"], row["shortcode"]),
    )


def moment(text: str) -> datetime:
    """A timestamp of an event, in UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _timeseries(events: Iterable[Event], key: tuple[str, ...], values: Callable[[Event], Row]) -> dict[Key, Row]:
    days: defaultdict[Key, dict[str, Event]] = defaultdict(dict)
    for event in events:
        keyed = {**event, "date": _day(event)}
        days[tuple(keyed[name] for name in key)][_event_id(event)] = event
    return {at: dict(zip(key, at, strict=True)) | _day_row(list(day.values()), values) for at, day in days.items()}


def _day_row(events: list[Event], values: Callable[[Event], Row]) -> Row:
    events.sort(key=lambda event: (moment(event["event_timestamp"]), _event_id(event)))
    row = values(events[0])
    for event in events[1:]:
        row |= {name: value for name, value in values(event).items() if value is not None}
    return row | {"updated_at": moment(events[-1]["event_timestamp"]), "observations": len(events)}


def _ranked(board: str, days: Iterable[Row], metric: str) -> Iterator[Row]:
    entities: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in days:
        entities[row["platform"], row["profile_id"], row["shortcode"]].append(row)

    contenders: defaultdict[str, list[Row]] = defaultdict(list)
    for (platform, profile_id, shortcode), rows in entities.items():
        rows.sort(key=lambda row: row["date"], reverse=True)
        newest = next((row for row in rows if row[metric] is not None), None)
        if newest is not None:
            contenders[str(platform)].append(
                {
                    "platform": platform,
                    "leaderboard": board,
                    "profile_id": profile_id,
                    "shortcode": shortcode,
                    "handle": next((row["handle"] for row in rows if row["handle"] is not None), None),
                    "value": newest[metric],
                    "updated_at": newest["updated_at"],
                }
            )

    for rows in contenders.values():
        rows.sort(key=lambda row: row["value"], reverse=True)
        rank = 1
        for _, tied in groupby(rows, key=lambda row: row["value"]):
            group = list(tied)
            yield from (row | {"rank": rank} for row in group)
            rank += len(group)


def _event_id(event: Event) -> str:
    return str(UUID(event["event_id"]))


def _day(event: Event) -> date:
    return moment(event["event_timestamp"]).date()


def _metrics(event: Event, counts: tuple[str, ...], averages: tuple[str, ...]) -> Row:
    metrics = event.get("metrics") or {}
    return {name: _whole(metrics.get(name)) for name in counts} | {
        name: _number(metrics.get(name)) for name in averages
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: object) -> int | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    whole = int(value)
    return whole if -(2**63) <= whole < 2**63 else None
