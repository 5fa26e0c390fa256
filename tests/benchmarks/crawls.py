"""Months of crawls, made inside ClickHouse: too many events to send them there.

Like the simulator's, but of many profiles over many days: a profile publishes every five days, and a post is crawled
for the fifteen days after. The n-th event is always the same.
"""

from string import Template

from tests.benchmarks.bench import Bench

PROFILES = 50_000
DAYS = 90
_START = "toDateTime64('2026-01-16 12:00:00', 6, 'UTC')"
"""The history then ends at noon in the middle of a month: what comes next falls into half a day and half a month."""
_PUBLISHES_EVERY, _CRAWLED_FOR = 5, 15

_BASE = f"""
SELECT
    reinterpretAsUUID(sipHash128(number)) AS event_id,
    sipHash64(number, 'type') % 100 AS type,
    sipHash64(number, 'profile') % {PROFILES} AS profile,
    profile % 3 = 0 AS youtube,
    if(youtube, 'YOUTUBE', 'INSTAGRAM') AS platform,
    if(youtube, 'youtube_api', 'graphapi') AS source,
    if(youtube, concat('UC', leftPad(toString(profile), 10, '0')), toString(17841400000 + profile)) AS profile_id,
    if(youtube, profile_id, concat('creator_', toString(profile))) AS handle,
    {_START} + toIntervalMicrosecond(toUInt64(number) * $microseconds) AS event_timestamp,
    $arrival AS insert_timestamp,
    toUInt32(dateDiff('day', {_START}, event_timestamp)) AS day,
    intDiv(day + {_CRAWLED_FOR}, {_PUBLISHES_EVERY}) - sipHash64(number, 'post') % {_CRAWLED_FOR // _PUBLISHES_EVERY}
        AS nth_post,
    concat(toString(profile), '_', toString(nth_post)) AS shortcode,
    {_START} + toIntervalDay(toInt64(nth_post) * {_PUBLISHES_EVERY} - {_CRAWLED_FOR}) AS publish_time,
    100 + sipHash64(profile) % 2000000 AS audience_then,
    audience_then + day * (sipHash64(profile, 'growth') % 500) AS audience,
    100 + sipHash64(shortcode) % 300000 + day * 10 AS views,
    (sipHash64(number, 'other') % {PROFILES}) AS other,
    if(youtube, concat('UC', leftPad(toString(other), 10, '0')), toString(17841400000 + other)) AS other_id,
    hex(sipHash128(number, 'id')) AS id,
    concat('{{"category":"',
        ['Beauty', 'Comedy', 'Education', 'Fitness', 'Food', 'Gaming', 'Music', 'Travel'][1 + profile % 8],
        '","country":"', ['IN', 'US', 'BR', 'ID', 'GB'][1 + profile % 5], '","handle":"', handle, '"}}') AS dimensions
FROM numbers($first, $count)
"""
_COMMON = dict.fromkeys(("event_id", "platform", "event_timestamp", "insert_timestamp"), "")
_SOURCED = {**_COMMON, "source": ""}
_EDGE = {**_SOURCED, "source_profile_id": "other_id", "target_profile_id": "profile_id"}
_TYPES: dict[str, tuple[int, dict[str, str]]] = {
    "post_log": (
        60,
        {
            **dict.fromkeys(("profile_id", "handle", "shortcode", "publish_time", "dimensions"), ""),
            "metrics": """concat('{"views":', toString(views), ',"likes":', toString(intDiv(views, 12)),
                ',"comments":', toString(intDiv(views, 300)), ',"reach":', toString(intDiv(views, 2)), '}')""",
            **_SOURCED,
        },
    ),
    "profile_log": (
        12,
        {
            **dict.fromkeys(("profile_id", "handle", "dimensions"), ""),
            "metrics": """concat('{"', if(youtube, 'subscribers', 'followers'), '":', toString(audience),
                ',"posts":', toString(nth_post), ',"reach":', toString(intDiv(audience, 3)), '}')""",
            **_SOURCED,
        },
    ),
    "asset_log": (
        8,
        {
            "asset_id": "id",
            "asset_type": "'image'",
            "entity_type": "'post'",
            "entity_id": "shortcode",
            "url": "concat('https://cdn.example.com/', id)",
            "status": "'uploaded'",
            **_SOURCED,
        },
    ),
    "scrape_request_log": (
        5,
        {
            "scl_id": "sipHash64(id)",
            "flow": "['refresh_profile_by_handle', 'refresh_post_by_shortcode'][1 + other % 2]",
            "status": "['COMPLETE', 'COMPLETE', 'PENDING', 'FAILED'][1 + other % 4]",
            "reason": "if(other % 4 = 3, '429 from source', NULL)",
            "picked_at": "event_timestamp + toIntervalSecond(other % 60)",
            **_COMMON,
        },
    ),
    "trace_log": (
        4,
        {
            "trace_id": "id",
            "host_name": "'beat-1'",
            "service_name": "'beat'",
            "method": "'GET'",
            "uri": "['/v1/profile', '/v1/posts', '/v1/comments'][1 + other % 3]",
            "status_code": "if(other % 20, 200, 429)",
            "duration_ms": "other % 900",
            "started_at": "event_timestamp",
            **_SOURCED,
        },
    ),
    "sentiment_log": (
        3,
        {
            "shortcode": "",
            "comment_id": "id",
            "sentiment": "['positive', 'neutral', 'negative'][1 + other % 3]",
            "score": "toFloat64(other % 2001) / 1000 - 1",
            **_SOURCED,
        },
    ),
    "post_activity_log": (
        2,
        {
            "profile_id": "",
            "shortcode": "",
            "actor_profile_id": "other_id",
            "activity_type": "['like', 'comment'][1 + other % 2]",
            **_SOURCED,
        },
    ),
    "profile_relationship_log": (2, {**_EDGE, "relationship_type": "'follower'"}),
    "yt_activity_log": (
        1,
        {"activity_id": "id", "activity_type": "'upload'", "actor_channel_id": "profile_id", **_SOURCED},
    ),
    "yt_profile_relationship_log": (1, {**_EDGE, "relationship_type": "'subscription'"}),
    "order_log": (1, {"platform_order_id": "id", "store": "'shopify'", **_SOURCED}),
    "affiliate_order": (
        1,
        {
            "order_id": "toString(other)",
            "store": "'ajio'",
            "status": "['pending', 'confirmed'][1 + other % 2]",
            "amount": "toDecimal64(other % 500, 2)",
            "currency": "'INR'",
            "updated_at": "event_timestamp",
            **_SOURCED,
        },
    ),
}
"""How many of a hundred events are of a type, and its columns; '' for those that are above."""


def insert(bench: Bench, first: int, count: int, history: int, *, now: bool = False) -> None:
    """The events from the first on, where `history` of them fill all days; each arrives five seconds late, or now."""
    base = Template(_BASE).substitute(
        first=first,
        count=count,
        microseconds=DAYS * 86_400_000_000 // history,
        arrival="now64(3)" if now else "event_timestamp + toIntervalSecond(5)",
    )
    before = 0
    for name, (share, columns) in _TYPES.items():
        values = ", ".join(value or column for column, value in columns.items())
        bench.sql(
            f"INSERT INTO _e.{name}_events ({', '.join(columns)}) SELECT {values} FROM ({base}) "
            f"WHERE type >= {before} AND type < {before + share}"
        )
        before += share
