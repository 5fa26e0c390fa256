with mart as (

    select * from {{ source('serving', 'mart_profile_timeseries') }}

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
    from mart

)

select * from final
