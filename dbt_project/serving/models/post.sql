select
    -- keys
    platform,
    profile_id,
    shortcode,

    -- attributes
    handle,
    publish_time,
    published_at,
    first_seen_date,
    last_seen_date,
    age_days,

    -- metrics
    views,
    likes,
    dislikes,
    comments,
    shares,
    saves,
    plays,
    reach,
    impressions,
    engagement,

    -- engagement
    interactions,
    engagement_rate,

    -- growth
    views_growth_1d,
    views_growth_3d,
    views_growth_7d,
    likes_growth_1d,
    likes_growth_3d,
    likes_growth_7d,

    -- provenance
    views_updated_at,
    updated_at,
    observations
from {{ source('serving', 'mart_post_performance') }}
