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
        {{ recency() }} as recency
    from {{ source('beat', 'sentiment_log_events') }}

),

comments as (

    select
        -- keys
        platform,
        shortcode,
        comment_id,

        -- attributes
        {{ newest('source') }} as source,
        {{ newest('comment') }} as comment,
        {{ newest('sentiment') }} as sentiment,

        -- metrics
        {{ newest('score') }} as score,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as versions
    from events
    group by
        platform,
        shortcode,
        comment_id

)

select * from comments
