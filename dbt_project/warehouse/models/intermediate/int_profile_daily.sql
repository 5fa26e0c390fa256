with events as (

    select
        platform,
        profile_id,
        {{- event_set_columns(profile_values()) }}
    from {{ ref('int_profile_history') }}
    array join events as event

),

-- An event may be in several rows of a profile until ClickHouse merges them, which the rule takes for copies.
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
