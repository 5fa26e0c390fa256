-- The posts that mart_discovery averages.
select
    -- keys
    platform,
    profile_id,
    place,

    -- attributes
    shortcode,
    handle,
    published_at,

    -- metrics
    views,
    likes,
    comments,
    shares,
    saves,
    plays,
    reach,

    -- engagement
    interactions,
    engagement_rate,

    -- provenance
    updated_at
from (
    select
        platform,
        profile_id,
        shortcode,
        handle,
        published_at,
        views,
        likes,
        comments,
        shares,
        saves,
        plays,
        reach,
        interactions,
        engagement_rate,
        updated_at,
        row_number() over (
            partition by platform, profile_id
            order by published_at desc, shortcode desc
        ) as place
    from {{ source('serving', 'mart_post_performance') }}
) as ranked
where place <= 12
