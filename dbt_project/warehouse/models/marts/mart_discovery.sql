{#- A run rewrites the profiles that had an event, of their own or of a post. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id'],
    engine=merge_tree(),
    order_by=['platform', 'profile_id']
) }}

{% if is_incremental() %}
{% set touched =
    arrived('profile_log_events', ['platform', 'profile_id'])
    ~ ' union distinct '
    ~ arrived('post_log_events', ['platform', 'profile_id'])
%}
{% endif %}

with days as (

    select
        *,
        -- YouTube's words for followers and posts are subscribers and videos.
        coalesce(followers, subscribers) as audience_of_day,
        coalesce(posts, videos) as posts_of_day
    from {{ ref('mart_profile_timeseries') }}
    {% if is_incremental() %}
    where (platform, profile_id) in ({{ touched }})
    {% endif %}

),

-- argMax passes over NULLs: the value of the newest day that has one. One row a day: no ties.
profiles as (

    select
        platform,
        profile_id,
        argMax(audience_of_day, date) as audience,
        argMax(following, date) as following,
        argMax(posts_of_day, date) as posts,
        argMax(views, date) as views,
        max(updated_at) as crawled_at
    from days
    group by
        platform,
        profile_id

),

dimensions as (

    select * from {{ ref('stg_beat_profile_dimensions') }}
    {% if is_incremental() %}
    where (platform, profile_id) in ({{ touched }})
    {% endif %}

),

last_posts as (

    select * from {{ ref('int_profile_recent_posts') }}
    {% if is_incremental() %}
    where (platform, profile_id) in ({{ touched }})
    {% endif %}

),

-- The posts of a profile may be crawled before the profile is.
everyone as (

    select
        platform,
        profile_id
    from profiles
    union distinct
    select
        platform,
        profile_id
    from last_posts

),

-- Where a join finds nothing, ClickHouse has NULL for a column that can be, else 0 and 1970. USING leaves one
-- of each key, and no other name is there twice: the asterisk needs no table.
joined as (

    select * -- noqa: RF02
    from everyone
    left join profiles using (platform, profile_id)
    left join dimensions using (platform, profile_id)
    left join last_posts using (platform, profile_id)

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

        -- provenance
        nullIf(newest_published_at, toDateTime64(0, 6, 'UTC')) as last_published_at,
        greatest(crawled_at, updated_at) as last_crawled_at
    from joined

)

select * from final
