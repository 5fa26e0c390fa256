with events as (

    select {{ profile_event_columns(profile_values()) | join(', ') }}
    from {{ source('beat', 'profile_log_events') }}

),

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
