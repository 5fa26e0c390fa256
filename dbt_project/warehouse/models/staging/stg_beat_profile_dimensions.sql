with events as (

    select
        cast(platform as String) as platform,
        profile_id,
        -- An empty text tells nothing.
        coalesce(nullIf(handle, ''), {{ dimension_text('handle') }}) as handle,
        {{ dimension_text('category') }} as category,
        {{ dimension_text('country') }} as country,
        {{ dimension_flag('is_verified') }} as is_verified,
        {{ dimension_text('bio') }} as bio,
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'profile_log_events') }}

),

newest as (

    -- argMax passes over NULLs, and is blind to copies of an event: they have the same recency and values.
    select
        -- keys
        platform,
        profile_id,

        -- attributes
        argMax(handle, recency) as handle,
        argMax(category, recency) as category,
        argMax(country, recency) as country,
        argMax(is_verified, recency) as is_verified,
        argMax(bio, recency) as bio
    from events
    group by
        platform,
        profile_id

)

select * from newest
