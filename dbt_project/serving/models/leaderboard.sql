select
    -- keys
    platform,
    leaderboard,
    period,
    rank,
    profile_id,
    shortcode,

    -- attributes
    handle,
    category,
    country,

    -- metrics
    value,
    rate,
    rank_change,
    rank_in_category,
    rank_change_in_category,
    rank_in_country,
    rank_change_in_country,

    -- provenance
    updated_at
from {{ source('serving', 'mart_leaderboard') }}
