"""What the marts must hold, computed from the events in plain Python by the documented rules.

It knows no SQL and nothing of the project, so that an error there is not repeated here. The rules:

- An event counts once, however often it was delivered: event_id tells copies apart.
- The day of an event is the UTC date of its event_timestamp; a timestamp without a zone is UTC.
- A day's value is the newest non-null one by event_timestamp; at the same instant the greater event_id, as text, wins.
- Whole metrics are cut to whole numbers; what is no number, or does not fit into 64 bits, is null.
- A profile's timeseries has every day from its first to its last; a value is the newest known at the end of the day.
- Growth compares with the profile's own value so many days before; a rate is a share of that, if it is above zero.
- A post's newest metric is that of its newest day that has one. Growth after n days is the value of the newest day up
  to n days after the first, less the oldest value; null while the post has not been seen for n days.
- A negative number is no count: rates and averages leave it out.
- A period ends at the newest day with an event of a profile or post of the platform. A leaderboard ranks by what was
  known when it ended, and by what was known when it began for the places climbed; engagement is that of the posts
  published in it. Equal values share a rank, and the next ranks are skipped.
- A comment counts in its newest judgement, on the day of its first. Its post belongs to the profile of the post's
  newest event, at the same instant to the greater profile_id. Scores are added from the least, by post and day, and so
  are these sums.
"""

import math
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from itertools import chain, pairwise
from operator import add
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

LEADERBOARD_KEY = ("platform", "leaderboard", "period", "rank", "profile_id", "shortcode")


def profile_timeseries(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_profile_timeseries by (platform, profile_id, date)."""
    rows: dict[Key, Row] = {}
    for (platform, profile_id), crawled in _profiles(events).items():
        days = _known_days(crawled)
        for day, row in days.items():
            growth = {
                f"{name}_{kind}_{n}d": value
                for name in ("audience", "posts", "views")
                for n in (1, 7, 30)
                for kind, value in _growth(row[name], days.get(day - timedelta(n), {}).get(name)).items()
            }
            rows[platform, profile_id, day] = row | growth
    return rows


def profile_growth(events: Iterable[Event], post_events: Iterable[Event] = ()) -> dict[Key, Row]:
    """The rows of mart_profile_growth by (platform, profile_id)."""
    events = list(events)
    profiles, ends = _profiles(events), _ends(events, post_events)
    rows = {key: _profile_growth(key, days, ends[key[0]]) for key, days in profiles.items()}

    rates: defaultdict[Key, list[float]] = defaultdict(list)
    for (platform, _), row in rows.items():
        if row["category"] is not None and row["growth_rate_30d"] is not None:
            rates[platform, row["category"]].append(row["growth_rate_30d"])
    for (platform, _), row in rows.items():
        others = rates.get((platform, row["category"]), [])
        row["category_profiles"] = len(others)
        row["z_score_30d"] = None
        if row["growth_rate_30d"] is not None and len(others) >= 5 and min(others) < max(others):
            row["z_score_30d"] = (row["growth_rate_30d"] - statistics.mean(others)) / statistics.pstdev(others)
        jumped = row["largest_jump_rate_30d"] is not None and row["largest_jump_rate_30d"] > 0.5
        apart = row["z_score_30d"] is not None and abs(row["z_score_30d"]) > 3
        row["is_suspicious"] = int(jumped or apart)
    return rows


def post_timeseries(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_post_timeseries by (platform, profile_id, shortcode, date)."""

    def values(event: Event) -> Row:
        published = event.get("publish_time")
        return {
            "handle": event.get("handle"),
            "publish_time": None if published is None else moment(published),
        } | _metrics(event, POST_COUNTS, POST_AVERAGES)

    return _timeseries(events, POST_KEY, values)


def post_performance(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_post_performance by (platform, profile_id, shortcode)."""
    posts: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in post_timeseries(events).values():
        posts[row["platform"], row["profile_id"], row["shortcode"]].append(row)
    return {key: _post(sorted(days, key=lambda row: row["date"])) for key, days in posts.items()}


def recent_posts(events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of int_profile_recent_posts by (platform, profile_id)."""
    profiles: defaultdict[Key, list[Row]] = defaultdict(list)
    for post in post_performance(events).values():
        profiles[post["platform"], post["profile_id"]].append(post)
    return {key: _profile_of_posts(posts) for key, posts in profiles.items()}


def discovery(
    post_events: Iterable[Event], profile_events: Iterable[Event], sentiment_events: Iterable[Event]
) -> dict[Key, Row]:
    """The rows of mart_discovery by (platform, profile_id)."""
    profiles: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in profile_timeseries(profile_events).values():
        profiles[row["platform"], row["profile_id"]].append(row)
    said: defaultdict[Key, list[Event]] = defaultdict(list)
    for event in profile_events:
        said[event["platform"], event["profile_id"]].append(event)
    felt: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in sentiment_profile(sentiment_events, post_events).values():
        felt[row["platform"], row["profile_id"]].append(row)
    posts = recent_posts(post_events)
    return {
        key: _found(sorted(profiles.get(key, []), key=lambda row: row["date"]), posts.get(key, {}))
        | _said(said.get(key, []))
        | _felt(felt.get(key, []))
        | {"platform": key[0], "profile_id": key[1]}
        for key in profiles.keys() | posts.keys()
    }


def sentiment_profile(sentiment_events: Iterable[Event], post_events: Iterable[Event]) -> dict[Key, Row]:
    """The rows of mart_sentiment_profile by (platform, profile_id, date)."""
    posts = sorted(post_performance(post_events).values(), key=lambda post: (post["updated_at"], post["profile_id"]))
    owners: dict[Key, Hashable] = {(post["platform"], post["shortcode"]): post["profile_id"] for post in posts}

    comments: defaultdict[Key, dict[str, Event]] = defaultdict(dict)
    for event in sentiment_events:
        comments[event["platform"], event["shortcode"], event["comment_id"]][_event_id(event)] = event

    days: defaultdict[Key, defaultdict[Key, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for (platform, shortcode, _), judgements in comments.items():
        history = sorted(judgements.values(), key=_recency)
        if (platform, shortcode) in owners:
            day = platform, owners[platform, shortcode], _day(history[0])
            days[day][platform, shortcode].append(history[-1])
    return {key: dict(zip(PROFILE_KEY, key, strict=True)) | _judged(by_post) for key, by_post in days.items()}


def leaderboard(post_events: Iterable[Event], profile_events: Iterable[Event] = ()) -> list[Row]:
    """The rows of mart_leaderboard, by its grain."""
    post_events, profile_events = list(post_events), list(profile_events)
    posts: defaultdict[Key, list[Row]] = defaultdict(list)
    for post in post_performance(post_events).values():
        posts[post["platform"], post["profile_id"]].append(post)
    profiles = _profiles(profile_events)
    entries: defaultdict[Key, list[Row]] = defaultdict(list)
    for platform, end in _ends(post_events, profile_events).items():
        for key in (key for key in profiles.keys() | posts.keys() if key[0] == platform):
            for entry in _entries(profiles.get(key, {}), posts.get(key, []), end):
                who = {"platform": platform, "profile_id": key[1], "shortcode": ""}
                entries[platform, entry["leaderboard"], entry["period"]].append(entry | who)
    ranked = [row for board in entries.values() for row in _places(board)]
    seen = [_entry_of_a_post(post) for found in posts.values() for post in found if post["views"] is not None]
    for platform in {row["platform"] for row in seen}:
        ranked += [row for row in _places([row for row in seen if row["platform"] == platform]) if row["rank"] <= 1000]
    return sorted(ranked, key=lambda row: tuple(row[name] for name in LEADERBOARD_KEY))


def moment(text: str) -> datetime:
    """A timestamp of an event, in UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _profiles(events: Iterable[Event]) -> dict[tuple[str, str], dict[date, Row]]:
    """The days with a crawl of each profile, by platform and profile_id."""

    def values(event: Event) -> Row:
        told = event.get("dimensions") or {}
        words = {name: _text(told.get(name)) for name in ("category", "country")}
        return {"handle": event.get("handle"), **words} | _metrics(event, PROFILE_COUNTS, PROFILE_AVERAGES)

    profiles: defaultdict[tuple[str, str], dict[date, Row]] = defaultdict(dict)
    for row in _timeseries(events, PROFILE_KEY, values).values():
        profiles[row["platform"], row["profile_id"]][row["date"]] = row
    return profiles


def _audience(day: Row) -> int | None:
    audience: int | None = day["subscribers"] if day["followers"] is None else day["followers"]
    return audience


def _known_days(days: dict[date, Row]) -> dict[date, Row]:
    """Every day from the first to the last, each value the newest known."""
    names = ("handle", *PROFILE_COUNTS, *PROFILE_AVERAGES, "audience", "audience_updated_at")
    known: Row = dict.fromkeys(names)
    filled = {}
    day = min(days)
    while day <= max(days):
        crawled = days.get(day)
        if crawled is not None:
            audience = _audience(crawled)
            dated = None if audience is None else crawled["updated_at"]
            today = crawled | {"audience": audience, "audience_updated_at": dated}
            known |= {name: today[name] for name in names if today[name] is not None}
            known |= {name: crawled[name] for name in ("platform", "profile_id", "updated_at")}
        observations = 0 if crawled is None else crawled["observations"]
        filled[day] = known | {"date": day, "is_carried": int(crawled is None), "observations": observations}
        day += timedelta(1)
    return filled


def _profile_growth(key: tuple[str, str], days: dict[date, Row], end: date) -> Row:
    def newest(name: str, days_ago: int = 0) -> Any:
        known = [day for day in days if day <= end - timedelta(days_ago) and values[day][name] is not None]
        return values[max(known)][name] if known else None

    values = {day: row | {"audience": _audience(row)} for day, row in days.items()}
    row = {"platform": key[0], "profile_id": key[1], "as_of": end}
    row |= {name: newest(name) for name in ("handle", "category", "audience", "updated_at")}
    for n in (7, 30, 90):
        row[f"audience_{n}d_ago"] = newest("audience", n)
        row |= {f"{kind}_{n}d": value for kind, value in _growth(row["audience"], row[f"audience_{n}d_ago"]).items()}

    known = [(day, values[day]["audience"]) for day in sorted(days) if values[day]["audience"] is not None]
    jumps = [
        _growth(later, earlier)["growth_rate"]
        for (_, earlier), (day, later) in pairwise(known)
        if day > end - timedelta(30) and abs(later - earlier) >= 1000
    ]
    row["largest_jump_rate_30d"] = max((abs(rate) for rate in jumps if rate is not None), default=None)
    return row


def _growth(later: int | None, earlier: int | None) -> Row:
    if later is None or earlier is None:
        return {"growth": None, "growth_rate": None}
    rate = (float(later) - float(earlier)) / float(earlier) if earlier > 0 else None
    return {"growth": _whole(later - earlier), "growth_rate": rate}


def _timeseries(events: Iterable[Event], key: tuple[str, ...], values: Callable[[Event], Row]) -> dict[Key, Row]:
    days: defaultdict[Key, dict[str, Event]] = defaultdict(dict)
    for event in events:
        keyed = {**event, "date": _day(event)}
        days[tuple(keyed[name] for name in key)][_event_id(event)] = event
    return {at: dict(zip(key, at, strict=True)) | _day_row(list(day.values()), values) for at, day in days.items()}


def _day_row(events: list[Event], values: Callable[[Event], Row]) -> Row:
    events.sort(key=_recency)
    row = values(events[0])
    for event in events[1:]:
        row |= {name: value for name, value in values(event).items() if value is not None}
    return row | {"updated_at": moment(events[-1]["event_timestamp"]), "observations": len(events)}


def _ends(*events: Iterable[Event]) -> dict[str, date]:
    """The newest event day of each platform."""
    ends: dict[str, date] = {}
    for event in chain(*events):
        ends[event["platform"]] = max(_day(event), ends.get(event["platform"], date.min))
    return ends


def _entries(days: dict[date, Row], posts: list[Row], end: date) -> Iterator[Row]:
    """What a profile ranks by in each leaderboard of profiles and period, and ranked by a period before."""
    until_then = [days[day] | {"audience": _audience(days[day])} for day in sorted(days) if day <= end]

    def audience(days_ago: int) -> int | None:
        then = [row for row in until_then if row["date"] <= end - timedelta(days_ago)]
        known: int | None = _newest(then, "audience")
        return known

    def engagement(after: date, until: date) -> list[float]:
        there = [post for post in posts if after < post["published_at"].date() <= until]
        return [post["engagement_rate"] for post in there if post["engagement_rate"] is not None]

    posts.sort(key=lambda post: (post["updated_at"], post["shortcode"]))
    handle = _newest(until_then, "handle")
    who = {"handle": _newest(posts, "handle") if handle is None else handle} | {
        name: _newest(until_then, name) for name in ("category", "country")
    }
    dated = {
        "profiles": next((row["updated_at"] for row in reversed(until_then) if row["audience"] is not None), None),
        "posts": posts[-1]["updated_at"] if posts else None,
    }
    first = _newest(until_then[::-1], "audience")
    for period, length in {"7d": 7, "30d": 30, "all": None}.items():
        begin = audience(length) if length else first
        won, before = _growth(audience(0), begin), _growth(begin, audience(2 * length) if length else None)
        rates = engagement(end - timedelta(length) if length else date.min, end)
        rates_before = engagement(end - timedelta(2 * length), end - timedelta(length)) if length else []
        for board, value, rate, score, score_before, updated_at in (
            ("followers", audience(0), None, audience(0), begin if length else None, dated["profiles"]),
            ("growth", won["growth"], won["growth_rate"], won["growth"], before["growth"], dated["profiles"]),
            ("engagement", len(rates), _mean(rates), _mean(rates), _mean(rates_before), dated["posts"]),
        ):
            yield who | {
                "leaderboard": f"profiles_by_{board}",
                "period": period,
                "value": value,
                "rate": rate,
                "updated_at": updated_at,
                "score": score,
                "score_before": score_before,
            }


def _entry_of_a_post(post: Row) -> Row:
    unknown = dict.fromkeys(("category", "country", "rate", "score_before"))
    return {name: post[name] for name in ("platform", "profile_id", "shortcode", "handle")} | {
        **unknown,
        "leaderboard": "posts_by_views",
        "period": "all",
        "value": post["views"],
        "updated_at": post["views_updated_at"],
        "score": post["views"],
    }


def _places(entries: list[Row]) -> list[Row]:
    """The entries of one leaderboard and period that rank, with their places among all, by category and by country."""
    for scope, name in {"": None, "_in_category": "category", "_in_country": "country"}.items():
        among: defaultdict[Any, list[Row]] = defaultdict(list)
        for entry in entries:
            among[entry[name] if name else "everyone"].append(entry)
        for value, members in among.items():
            now, before = (
                sorted(row[score] for row in members if row[score] is not None) for score in ("score", "score_before")
            )
            for row in members:
                rank = None if row["score"] is None else 1 + len(now) - bisect_right(now, row["score"])
                change = None
                if rank is not None and row["score_before"] is not None:
                    change = 1 + len(before) - bisect_right(before, row["score_before"]) - rank
                known = value is not None
                row |= {f"rank{scope}": rank if known else None, f"rank_change{scope}": change if known else None}
    ranked = [row for row in entries if row["score"] is not None]
    return [{name: row[name] for name in row.keys() - {"score", "score_before"}} for row in ranked]


def _post(days: list[Row]) -> Row:
    first, last = days[0]["date"], days[-1]["date"]
    metrics = {name: _newest(days, name) for name in ("handle", "publish_time", *POST_COUNTS, *POST_AVERAGES)}
    published = metrics["publish_time"]
    if published is None or published.date() > first:
        published = datetime.combine(first, time(), UTC)
    counted = [n for n in map(metrics.get, ("likes", "comments", "shares", "saves")) if n is not None and n >= 0]
    interactions = _whole(sum(counted)) if counted else None
    over = next((n for n in (metrics["reach"], metrics["views"]) if n is not None and n > 0), None)
    return (
        {name: days[0][name] for name in ("platform", "profile_id", "shortcode")}
        | metrics
        | {
            "published_at": published,
            "first_seen_date": first,
            "last_seen_date": last,
            "age_days": (last - published.date()).days,
            "interactions": interactions,
            "engagement_rate": None if interactions is None or over is None else float(interactions) / float(over),
            "views_updated_at": max((day["updated_at"] for day in days if day["views"] is not None), default=None),
            "updated_at": max(day["updated_at"] for day in days),
            "observations": sum(day["observations"] for day in days),
        }
        | {f"{name}_growth_{n}d": _grown_since_seen(days, name, n) for name in ("views", "likes") for n in (1, 3, 7)}
    )


def _grown_since_seen(days: list[Row], metric: str, after: int) -> int | None:
    until = days[0]["date"] + timedelta(days=after)
    oldest = _newest(days[::-1], metric)
    newest = _newest([day for day in days if day["date"] <= until], metric)
    if days[-1]["date"] < until or oldest is None or newest is None:
        return None
    return _whole(newest - oldest)


def _profile_of_posts(posts: list[Row]) -> Row:
    last = sorted(posts, key=lambda post: (post["published_at"], post["shortcode"]), reverse=True)[:12]
    oldest, newest = last[-1]["published_at"], last[0]["published_at"]
    days = (newest.date() - oldest.date()).days
    return {
        "platform": posts[0]["platform"],
        "profile_id": posts[0]["profile_id"],
        "posts_handle": _newest(sorted(posts, key=lambda post: (post["updated_at"], post["shortcode"])), "handle"),
        "recent_posts": len(last),
        "oldest_published_at": oldest,
        "newest_published_at": newest,
        "posts_per_week": (len(last) - 1) * 7 / days if days else None,
        "engagement_rates": sorted(
            (post["published_at"].date(), post["engagement_rate"])
            for post in posts
            if post["engagement_rate"] is not None
        ),
        "updated_at": max(post["updated_at"] for post in posts),
    } | {
        f"avg_{name}": _mean([post[name] for post in last])
        for name in ("views", "likes", "comments", "interactions", "engagement_rate")
    }


def _found(days: list[Row], posts: Row) -> Row:
    words = [
        day
        | {
            "audience": day["subscribers"] if day["followers"] is None else day["followers"],
            "posts": day["videos"] if day["posts"] is None else day["posts"],
        }
        for day in days
    ]
    audience, interactions = _newest(words, "audience"), posts.get("avg_interactions")
    averages = ("posts_per_week", "avg_views", "avg_likes", "avg_comments", "avg_engagement_rate")
    return (
        {name: _newest(words, name) for name in ("audience", "following", "posts", "views")}
        | {name: posts.get(name) for name in averages}
        | {
            "recent_posts": posts.get("recent_posts", 0),
            "audience_engagement_rate": (
                None if interactions is None or audience is None or audience <= 0 else interactions / float(audience)
            ),
            "last_published_at": posts.get("newest_published_at"),
            "last_crawled_at": max(row["updated_at"] for row in [*days, posts] if row),
        }
    )


def _said(events: list[Event]) -> Row:
    """Each the newest that says something: a text that is not empty, or for is_verified true or false."""
    newest: Row = dict.fromkeys(("handle", "category", "country", "is_verified", "bio"))
    for event in sorted(events, key=_recency):
        dimensions = event.get("dimensions") or {}
        values = {name: _text(dimensions.get(name)) for name in ("category", "country", "bio")}
        values["handle"] = _text(event.get("handle")) or _text(dimensions.get("handle"))
        verified = dimensions.get("is_verified")
        values["is_verified"] = int(verified) if isinstance(verified, bool) else None
        newest |= {name: value for name, value in values.items() if value is not None}
    return newest


def _text(value: object) -> Any:
    return value if isinstance(value, str) and value else None


def _felt(days: list[Row]) -> Row:
    comments, positive, negative = (sum(day[name] for day in days) for name in ("comments", "positive", "negative"))
    return {
        "audience_comments": comments,
        "audience_positive_share": positive / comments if comments else None,
        "audience_negative_share": negative / comments if comments else None,
        "audience_mean_score": _sum(day["score_sum"] for day in days) / comments if comments else None,
    }


def _judged(posts: Mapping[Key, list[Event]]) -> Row:
    comments = [comment for post in posts.values() for comment in post]
    moods = [comment["sentiment"] for comment in comments]
    score = _sum(_sum(comment["score"] for comment in post) for post in posts.values())
    return {
        "comments": len(comments),
        **{mood: moods.count(mood) for mood in ("positive", "neutral", "negative")},
        "mean_score": score / len(comments),
        "score_sum": score,
        "posts": len(posts),
        "updated_at": max(moment(comment["event_timestamp"]) for comment in comments),
    }


def _newest(days: list[Row], metric: str) -> Any:
    return next((day[metric] for day in reversed(days) if day[metric] is not None), None)


def _mean(values: list[Any]) -> float | None:
    """Of the values known; added in the order of their size, for that decides a float's last bit."""
    known = [value for value in values if value is not None and value >= 0]
    return float(_sum(known)) / len(known) if known else None


def _sum(values: Iterable[Any]) -> Any:
    """From the least on."""
    return reduce(add, sorted(values))


def _recency(event: Event) -> tuple[datetime, str]:
    return moment(event["event_timestamp"]), _event_id(event)


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
