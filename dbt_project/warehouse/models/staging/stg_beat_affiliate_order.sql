with versions as (

    select
        cast(platform as String) as platform,
        cast(store as String) as store,
        order_id,
        cast(source as String) as source,
        cast(status as String) as status,
        cast(currency as String) as currency,
        amount,
        updated_at,
        event_timestamp,
        event_id,
        -- The store's own clock decides which version is the newest, and event_timestamp only between equal
        -- times.
        {{ recency(clock='updated_at') }} as recency
    from {{ source('beat', 'affiliate_order_events') }}

),

newest as (

    select
        -- keys
        platform,
        store,
        order_id,

        -- attributes
        {{ newest('source') }} as source,
        {{ newest('status') }} as status,
        {{ newest('currency') }} as currency,

        -- metrics
        {{ newest('amount') }} as amount,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(updated_at) as updated_at,
        {{ distinct_events() }} as versions
    from versions
    group by
        platform,
        store,
        order_id

)

select * from newest
