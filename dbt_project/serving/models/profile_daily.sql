select
    -- keys
    platform,
    profile_id,
    date,

    -- attributes
    handle,
    is_carried = 1 as is_carried,

    -- metrics
    followers,
    following,
    posts,
    subscribers,
    views,
    videos,
    reach,
    avg_likes,
    avg_comments,
    avg_views,
    audience,

    -- growth
    audience_growth_1d,
    audience_growth_rate_1d,
    audience_growth_7d,
    audience_growth_rate_7d,
    audience_growth_30d,
    audience_growth_rate_30d,
    posts_growth_1d,
    posts_growth_rate_1d,
    posts_growth_7d,
    posts_growth_rate_7d,
    posts_growth_30d,
    posts_growth_rate_30d,
    views_growth_1d,
    views_growth_rate_1d,
    views_growth_7d,
    views_growth_rate_7d,
    views_growth_30d,
    views_growth_rate_30d,

    -- provenance
    audience_updated_at,
    updated_at,
    observations
from {{ source('serving', 'mart_profile_timeseries') }}
