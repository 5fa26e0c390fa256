with versions as (

    select
        cast(platform as String) as platform,
        entity_id,
        asset_id,
        cast(source as String) as source,
        cast(entity_type as String) as entity_type,
        cast(asset_type as String) as asset_type,
        url,
        cast(status as String) as status,
        event_timestamp,
        event_id,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'asset_log_events') }}

),

daily as (

    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        entity_id,
        asset_id,
        toDate(event_timestamp, 'UTC') as date,

        -- attributes
        argMax(source, recency) as source,
        argMax(entity_type, recency) as entity_type,
        argMax(asset_type, recency) as asset_type,
        argMax(url, recency) as url,
        argMax(status, recency) as status,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as versions
    from versions
    group by
        platform,
        entity_id,
        asset_id,
        date

)

select * from daily
