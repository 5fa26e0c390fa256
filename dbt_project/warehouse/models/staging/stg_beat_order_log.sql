with events as (

    select
        cast(platform as String) as platform,
        cast(store as String) as store,
        platform_order_id,
        cast(source as String) as source,
        event_timestamp,
        event_id,
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'order_log_events') }}

),

orders as (

    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        store,
        platform_order_id,

        -- attributes
        argMax(source, recency) as source,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as observations
    from events
    group by
        platform,
        store,
        platform_order_id

)

select * from orders
