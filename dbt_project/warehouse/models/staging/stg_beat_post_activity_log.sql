with events as (

    select
        cast(platform as String) as platform,
        shortcode,
        actor_profile_id,
        event_timestamp,
        toString(event_id) as event_id,
        cast(source as String) as source,
        cast(activity_type as String) as activity_type,
        profile_id
    from {{ source('beat', 'post_activity_log_events') }}

),

activities as (

    -- Copies of an event have the same values, so any copy serves: no FINAL is needed.
    select
        -- keys
        platform,
        shortcode,
        actor_profile_id,
        event_timestamp,
        event_id,

        -- attributes
        any(source) as source,
        any(activity_type) as activity_type,
        any(profile_id) as profile_id
    from events
    group by
        platform,
        shortcode,
        actor_profile_id,
        event_timestamp,
        event_id

)

select * from activities
