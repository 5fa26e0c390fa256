with events as (

    select
        cast(platform as String) as platform,
        profile_id,
        -- An empty text tells nothing. What is no text, true or a number, is taken as JSON writes it.
        nullIf(coalesce(handle, JSONExtract(dimensions, 'handle', 'Nullable(String)')), '') as handle,
        nullIf(JSONExtract(dimensions, 'category', 'Nullable(String)'), '') as category,
        nullIf(JSONExtract(dimensions, 'country', 'Nullable(String)'), '') as country,
        nullIf(JSONExtract(dimensions, 'is_verified', 'Nullable(String)'), '') as is_verified,
        nullIf(JSONExtract(dimensions, 'bio', 'Nullable(String)'), '') as bio,
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
