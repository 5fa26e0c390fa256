"""The old tables of series, whose rows are brought where the log that is made of the same objects was pruned.

A row whose log row is still there is left out, for that is the event; series_rows.py leaves out those whose log row was
brought before it was pruned.
"""

from collections.abc import Mapping

from gcc_platform.migration.legacy_table import LegacyTable

_ACCOUNT_METRICS = {
    "followers": "followers",
    "following": "following",
    "posts": "media_count",
    "avg_likes": "avg_likes",
    "avg_comments": "avg_comments",
}
_POST_METRICS = {name: name for name in ("likes", "comments", "plays", "reach")}


def _object(columns: Mapping[str, str]) -> str:
    """An object of columns, without those that are NULL."""
    pairs = ", ".join(f"'{key}', r.{column}" for key, column in columns.items())
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))"


_ALL = (
    LegacyTable(
        "insta_account_ts",
        9,
        "profile_log",
        {
            "profile_id": "r.profile_id",
            "handle": "r.handle",
            "source": "''",
            "platform": "'INSTAGRAM'",
            "metrics": _object(_ACCOUNT_METRICS),
            "dimensions": _object({"handle": "handle"}),
        },
        required=("profile_id",),
        lists=(),
        log="profile_log",
        rows="""SELECT s.* FROM insta_account_ts AS s WHERE NOT EXISTS (SELECT FROM profile_log AS l
            WHERE l.platform = 'INSTAGRAM' AND l.profile_id = s.profile_id AND l.timestamp = s.timestamp)""",
    ),
    # It does not name the profile, which another row of the post's log does. A post without one is rejected.
    LegacyTable(
        "insta_post_ts",
        10,
        "post_log",
        {
            "profile_id": "r.profile_id",
            "handle": "NULL",
            "shortcode": "r.shortcode",
            "publish_time": "NULL::timestamptz",
            "source": "''",
            "platform": "'INSTAGRAM'",
            "metrics": _object(_POST_METRICS),
            "dimensions": "'{}'::jsonb",
        },
        required=("shortcode", "profile_id"),
        lists=(),
        log="post_log",
        rows="""SELECT s.*, (SELECT l.profile_id FROM post_log AS l WHERE l.platform = 'INSTAGRAM'
                AND l.platform_post_id = s.shortcode AND l.profile_id IS NOT NULL LIMIT 1) AS profile_id
            FROM insta_post_ts AS s WHERE NOT EXISTS (SELECT FROM post_log AS l
            WHERE l.platform = 'INSTAGRAM' AND l.platform_post_id = s.shortcode AND l.timestamp = s.timestamp)""",
    ),
)

SERIES_TABLES: Mapping[str, LegacyTable] = {table.name: table for table in _ALL}
"""By name."""
