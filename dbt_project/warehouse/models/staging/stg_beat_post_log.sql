with events as (

    select {{ post_event_columns() | join(', ') }}
    from {{ source('beat', 'post_log_events') }}

),

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
