select
    -- keys
    platform,
    profile_id,
    shortcode,
    date,

    -- attributes
    handle,
    publish_time,

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

    -- provenance
    updated_at,
    observations
from {{ source('serving', 'mart_post_timeseries') }}
