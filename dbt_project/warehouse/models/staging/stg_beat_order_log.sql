with events as (

    select
        cast(platform as String) as platform,
        cast(store as String) as store,
        platform_order_id,
        cast(source as String) as source,
        event_timestamp,
        event_id,
        {{ recency() }} as recency
    from {{ source('beat', 'order_log_events') }}

),

orders as (

    select
        -- keys
        platform,
        store,
        platform_order_id,

        -- attributes
        {{ newest('source') }} as source,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as observations
    from events
    group by
        platform,
        store,
        platform_order_id

)

select * from orders
