with events as (

    -- Columns by name: the metrics are MATERIALIZED in the raw table, and an asterisk leaves those out.
    select
        event_id,
        cast(platform as String) as platform,
        profile_id,
        handle,
        {{ dimension_text('category') }} as category,
        {{ dimension_text('country') }} as country,
        {{ dimension_flag('is_verified') }} as is_verified,
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
        event_timestamp
    from {{ source('beat', 'profile_log_events') }}

),

-- The raw table may hold an event twice until ClickHouse merges it away; the rule is blind to that: no FINAL
-- is needed.
daily as (

    {{ profile_days('events') }}

),

final as (

    select
        -- keys
        platform,
        profile_id,
        date,

        -- attributes
        handle,
        category,
        country,
        is_verified,

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

        -- provenance
        updated_at,
        observations
    from daily

)

select * from final
