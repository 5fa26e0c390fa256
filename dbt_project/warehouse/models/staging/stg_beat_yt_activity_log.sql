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
        {{ recency() }} as recency
    from {{ source('beat', 'yt_activity_log_events') }}

),

activities as (

    select
        -- keys
        platform,
        actor_channel_id,
        activity_id,

        -- attributes
        {{ newest('source') }} as source,
        {{ newest('activity_type') }} as activity_type,
        {{ newest('shortcode') }} as shortcode,

        -- provenance
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as versions
    from events
    group by
        platform,
        actor_channel_id,
        activity_id

)

select * from activities
