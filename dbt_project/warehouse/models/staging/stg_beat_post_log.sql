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
        event_timestamp
    from {{ source('beat', 'post_log_events') }}

),

-- The raw table may hold an event twice until ClickHouse merges it away; the rule is blind to that: no FINAL
-- is needed.
daily as (

    {{ post_days('events') }}

),

final as (

    select
        -- keys
        platform,
        profile_id,
        shortcode,
        date,

        -- attributes
        handle,
        publish_time,

        -- metrics
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

        -- provenance
        updated_at,
        observations
    from daily

)

select * from final
