with events as (

    select
        cast(platform as String) as platform,
        shortcode,
        comment_id,
        cast(source as String) as source,
        comment,
        cast(sentiment as String) as sentiment,
        score,
        event_timestamp,
        event_id,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'sentiment_log_events') }}

),

comments as (

    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        shortcode,
        comment_id,

        -- attributes
        argMax(source, recency) as source,
        argMax(comment, recency) as comment,
        argMax(sentiment, recency) as sentiment,

        -- metrics
        argMax(score, recency) as score,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as versions
    from events
    group by
        platform,
        shortcode,
        comment_id

)

select * from comments
