{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'date']) }}

with daily as (

    select * from {{ ref('stg_beat_profile_log') }}

),

final as (

    select
        -- keys
        platform,
        profile_id,
        date,

        -- attributes
        handle,

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
