-- A table over three that have few rows per profile, not incremental: a profile's sentiment may change
-- without any other change of it.
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id']) }}

with profiles as (

    select * from {{ ref('int_profile_newest') }}

),

last_posts as (

    select * from {{ ref('int_profile_recent_posts') }}

),

sentiment as (

    select
        platform,
        profile_id,
        sum(comments) as audience_comments,
        toNullable(sum(positive) / sum(comments)) as audience_positive_share,
        toNullable(sum(negative) / sum(comments)) as audience_negative_share,
        toNullable({{ ordered_sum('score_sum') }} / sum(comments)) as audience_mean_score
    from {{ ref('mart_sentiment_profile') }}
    group by
        platform,
        profile_id

),

-- The posts of a profile may be crawled before the profile is. A join without a match gives NULL for a
-- Nullable column, else 0 and 1970. USING gives each key once, and no other name occurs twice, so the
-- asterisk needs no table.
joined as (

    select * -- noqa: RF02
    from profiles
    full outer join last_posts using (platform, profile_id)
    left join sentiment using (platform, profile_id)

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- attributes
        handle,
        category,
        country,
        is_verified,
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
        avg_interactions / if(audience > 0, audience, null) as audience_engagement_rate,

        -- sentiment
        audience_comments,
        audience_positive_share,
        audience_negative_share,
        audience_mean_score,

        -- provenance
        nullIf(newest_published_at, toDateTime64(0, 6, 'UTC')) as last_published_at,
        greatest(crawled_at, updated_at) as last_crawled_at
    from joined

)

select * from final
