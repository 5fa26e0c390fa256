{{ config(engine=merge_tree(), order_by=['platform', 'leaderboard', 'rank', 'profile_id', 'shortcode']) }}

with post_days as (

    select * from {{ ref('mart_post_timeseries') }}

),

-- argMax passes over NULLs: the newest value is that of the newest day that has one. One row a day: no ties.
posts as (

    select
        platform,
        'posts_by_views' as leaderboard,
        profile_id,
        shortcode,
        argMax(handle, date) as handle,
        argMax(views, date) as newest_value,
        maxIf(updated_at, views is not null) as updated_at
    from post_days
    group by
        platform,
        profile_id,
        shortcode

),

profiles as (

    select
        platform,
        'profiles_by_followers' as leaderboard,
        profile_id,
        -- A profile is no post. '' keeps the key free of NULLs.
        '' as shortcode,
        handle,
        audience as newest_value,
        audience_updated_at as updated_at
    from {{ ref('int_profile_growth') }}

),

candidates as (

    select * from posts
    union all
    select * from profiles

),

final as (

    select
        -- keys
        platform,
        leaderboard,
        toInt64(rank() over (partition by platform, leaderboard order by newest_value desc)) as rank,
        profile_id,
        shortcode,

        -- attributes
        handle,

        -- metrics
        assumeNotNull(newest_value) as value,

        -- provenance
        assumeNotNull(updated_at) as updated_at
    from candidates
    where newest_value is not null

)

select * from final
