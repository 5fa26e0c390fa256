select
    -- keys
    platform,
    profile_id,

    -- attributes
    handle,
    category,
    country,
    is_verified = 1 as is_verified,
    bio,

    -- audience
    audience,
    following,
    posts,
    views,

    -- engagement
    recent_posts,
    posts_per_week,
    avg_views,
    avg_likes,
    avg_comments,
    avg_engagement_rate,
    audience_engagement_rate,

    -- sentiment
    audience_comments,
    audience_positive_share,
    audience_negative_share,
    audience_mean_score,

    -- provenance
    last_published_at,
    last_crawled_at
from {{ source('serving', 'mart_discovery') }}
