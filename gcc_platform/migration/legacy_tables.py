"""The old log tables, as the crawlers' SQLAlchemy models made them."""

from collections.abc import Mapping

from gcc_platform.migration.json_lists import text_in, unix_time_in
from gcc_platform.migration.legacy_table import LegacyTable, time_of

_SNAPSHOT = {
    "source": "coalesce(r.source, '')",
    "platform": "r.platform",
    "metrics": "of_metrics.metrics",
    "dimensions": "of_dimensions.dimensions",
}
_HANDLE = f"CASE WHEN r.platform = 'YOUTUBE' THEN r.profile_id ELSE {text_in('of_dimensions.dimensions', 'handle')} END"

_ALL = (
    LegacyTable(
        "profile_log",
        1,
        "profile_log",
        {"profile_id": "r.profile_id", "handle": _HANDLE, **_SNAPSHOT},
        required=("platform", "profile_id"),
    ),
    LegacyTable(
        "post_log",
        2,
        "post_log",
        {
            "profile_id": "r.profile_id",
            "handle": _HANDLE,
            "shortcode": "r.platform_post_id",
            "publish_time": unix_time_in("of_dimensions.dimensions", "taken_at_timestamp"),
            **_SNAPSHOT,
        },
        required=("platform", "profile_id", "platform_post_id"),
    ),
    LegacyTable(
        "profile_relationship_log",
        3,
        "profile_relationship_log",
        {
            "source": "coalesce(r.source, '')",
            "platform": "r.platform",
            "source_profile_id": "r.source_profile_id",
            "target_profile_id": "r.target_profile_id",
            "relationship_type": "r.relationship_type",
        },
        required=("platform", "source_profile_id", "target_profile_id", "relationship_type"),
        lists=("source_metrics", "target_metrics", "source_dimensions", "target_dimensions"),
        extra={
            "source_metrics": "nullif(of_source_metrics.source_metrics, '{}')",
            "target_metrics": "nullif(of_target_metrics.target_metrics, '{}')",
            "source_dimensions": "nullif(of_source_dimensions.source_dimensions, '{}')",
            "target_dimensions": "nullif(of_target_dimensions.target_dimensions, '{}')",
        },
    ),
    LegacyTable(
        "sentiment_log",
        4,
        "sentiment_log",
        {
            "shortcode": "r.platform_post_id",
            "comment_id": "r.comment_id",
            "comment": "r.comment",
            "sentiment": "r.sentiment",
            "score": "r.score",
            **_SNAPSHOT,
        },
        required=("platform", "platform_post_id", "comment_id", "sentiment", "score"),
    ),
    LegacyTable(
        "post_activity_log",
        5,
        "post_activity_log",
        {
            "activity_type": "r.activity_type",
            "actor_profile_id": "r.actor_profile_id",
            "shortcode": "r.platform_post_id",
            **_SNAPSHOT,
        },
        required=("platform", "activity_type", "actor_profile_id", "platform_post_id"),
    ),
    LegacyTable(
        "order_log",
        6,
        "order_log",
        {"platform_order_id": "r.platform_order_id", "store": "r.store", **_SNAPSHOT},
        required=("platform", "platform_order_id", "store"),
    ),
    # The crawlers' queue of work: its rows change until they are complete, and it stays. Its history is an event for
    # each row in its last state.
    LegacyTable(
        "scrape_request_log",
        7,
        "scrape_request_log",
        {
            "platform": "r.platform",
            "scl_id": "r.id",
            "flow": "r.flow",
            "status": "r.status",
            "params": "of_params.params",
            "priority": "r.priority",
            "reason": "r.reason",
            "picked_at": time_of("r.picked_at"),
            "expires_at": time_of("r.expires_at"),
        },
        required=("platform", "flow"),
        lists=("params",),
        extra={"idempotency_key": "r.idempotency_key", "created_at": time_of("r.created_at")},
        time="scraped_at",
        is_queue=True,
        complete="r.status IN ('COMPLETE', 'FAILED')",
    ),
    LegacyTable(
        "asset_log",
        8,
        "asset_log",
        {
            "asset_id": "r.asset_id",
            "asset_type": "r.asset_type",
            "entity_type": "r.entity_type",
            "entity_id": "r.entity_id",
            "url": "r.url",
            "status": "r.status",
            **_SNAPSHOT,
        },
        required=("platform", "asset_id", "asset_type", "entity_type", "entity_id", "url", "status"),
    ),
)

LEGACY_TABLES: Mapping[str, LegacyTable] = {table.name: table for table in _ALL}
"""By name. The tables of series, which derive from the same objects, are in series_tables.py."""
