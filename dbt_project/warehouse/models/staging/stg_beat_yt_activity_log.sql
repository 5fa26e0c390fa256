with events as (

    select
        cast(platform as String) as platform,
        actor_channel_id,
        activity_id,
        cast(source as String) as source,
        cast(activity_type as String) as activity_type,
        shortcode,
        event_timestamp,
        event_id,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'yt_activity_log_events') }}

),

activities as (

    -- argMax passes over NULLs: a crawl that saw no shortcode does not take away one that was known.
    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        actor_channel_id,
        activity_id,

        -- attributes
        argMax(source, recency) as source,
        argMax(activity_type, recency) as activity_type,
        argMax(shortcode, recency) as shortcode,

        -- provenance
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as versions
    from events
    group by
        platform,
        actor_channel_id,
        activity_id

)

select * from activities
