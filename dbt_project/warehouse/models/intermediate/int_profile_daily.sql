with events as (

    select
        platform,
        profile_id,
        tupleElement(event, 'event_id') as event_id,
        tupleElement(event, 'handle') as handle,
        tupleElement(event, 'category') as category,
        tupleElement(event, 'country') as country,
        tupleElement(event, 'is_verified') as is_verified,
        tupleElement(event, 'followers') as followers,
        tupleElement(event, 'following') as following,
        tupleElement(event, 'posts') as posts,
        tupleElement(event, 'subscribers') as subscribers,
        tupleElement(event, 'views') as views,
        tupleElement(event, 'videos') as videos,
        tupleElement(event, 'reach') as reach,
        tupleElement(event, 'avg_likes') as avg_likes,
        tupleElement(event, 'avg_comments') as avg_comments,
        tupleElement(event, 'avg_views') as avg_views,
        tupleElement(event, 'event_timestamp') as event_timestamp
    from {{ ref('int_profile_history') }}
    array join events as event

),

-- An event may be in several rows of a profile until ClickHouse merges them; the rule is blind to that: no
-- FINAL is needed.
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
