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
        event_timestamp,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'profile_log_events') }}

),

daily as (

    -- argMax passes over NULLs: each value is the newest of the day, whichever event had it.
    -- The raw table may hold an event twice until ClickHouse merges it away. Copies have the same recency and
    -- values, so argMax and max are blind to them, and uniqExact counts them once: no FINAL is needed.
    select
        -- keys
        platform,
        profile_id,
        toDate(event_timestamp, 'UTC') as date,

        -- attributes
        argMax(handle, recency) as handle,
        argMax(category, recency) as category,
        argMax(country, recency) as country,
        argMax(is_verified, recency) as is_verified,

        -- metrics
        argMax(followers, recency) as followers,
        argMax(following, recency) as following,
        argMax(posts, recency) as posts,
        argMax(subscribers, recency) as subscribers,
        argMax(views, recency) as views,
        argMax(videos, recency) as videos,
        argMax(reach, recency) as reach,
        argMax(avg_likes, recency) as avg_likes,
        argMax(avg_comments, recency) as avg_comments,
        argMax(avg_views, recency) as avg_views,

        -- provenance
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as observations
    from events
    group by
        platform,
        profile_id,
        date

)

select * from daily
