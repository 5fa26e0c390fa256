with events as (

    -- Columns by name: the metrics are MATERIALIZED in the raw table, and an asterisk leaves those out.
    select
        event_id,
        cast(platform as String) as platform,
        profile_id,
        shortcode,
        handle,
        publish_time,
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
        event_timestamp,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'post_log_events') }}

),

daily as (

    -- argMax passes over NULLs: each metric's newest value of the day, whichever event had it.
    -- The raw table may hold an event twice until ClickHouse merges it away. Copies have the same recency and
    -- values, so argMax and max are blind to them, and uniqExact counts them once: no FINAL is needed.
    select
        -- keys
        platform,
        profile_id,
        shortcode,
        toDate(event_timestamp, 'UTC') as date,

        -- attributes
        argMax(handle, recency) as handle,
        argMax(publish_time, recency) as publish_time,

        -- metrics
        argMax(views, recency) as views,
        argMax(likes, recency) as likes,
        argMax(dislikes, recency) as dislikes,
        argMax(comments, recency) as comments,
        argMax(shares, recency) as shares,
        argMax(saves, recency) as saves,
        argMax(plays, recency) as plays,
        argMax(reach, recency) as reach,
        argMax(impressions, recency) as impressions,
        argMax(engagement, recency) as engagement,

        -- provenance
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as observations
    from events
    group by
        platform,
        profile_id,
        shortcode,
        date

)

select * from daily
