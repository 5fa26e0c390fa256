-- A profile of which only posts were crawled has no growth.
select
    -- keys
    profiles.platform,
    profiles.profile_id,

    -- attributes
    profiles.handle,
    lower(profiles.handle) collate "C" as handle_lower,  -- noqa: RF02
    profiles.category,
    profiles.country,
    profiles.is_verified = 1 as is_verified,
    profiles.bio,

    -- audience
    profiles.audience,
    profiles.following,
    profiles.posts,
    profiles.views,

    -- engagement
    profiles.recent_posts,
    profiles.posts_per_week,
    profiles.avg_views,
    profiles.avg_likes,
    profiles.avg_comments,
    profiles.avg_engagement_rate,
    profiles.audience_engagement_rate,

    -- sentiment
    profiles.audience_comments,
    profiles.audience_positive_share,
    profiles.audience_negative_share,
    profiles.audience_mean_score,

    -- growth
    growth.as_of as growth_as_of,
    growth.audience_7d_ago,
    growth.audience_30d_ago,
    growth.audience_90d_ago,
    growth.growth_7d,
    growth.growth_rate_7d,
    growth.growth_30d,
    growth.growth_rate_30d,
    growth.growth_90d,
    growth.growth_rate_90d,
    growth.category_profiles,
    growth.z_score_30d,
    growth.largest_jump_rate_30d,
    growth.is_suspicious = 1 as is_suspicious,

    -- provenance
    profiles.last_published_at,
    profiles.last_crawled_at
from {{ source('serving', 'mart_discovery') }} as profiles
left join {{ source('serving', 'mart_profile_growth') }} as growth
    on
        profiles.platform = growth.platform
        and profiles.profile_id = growth.profile_id
