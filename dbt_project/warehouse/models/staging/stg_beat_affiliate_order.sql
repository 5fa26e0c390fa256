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
        -- The store's own clock says which version is the newest; where it does not tell, when it was seen.
        (updated_at, event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'affiliate_order_events') }}

),

newest as (

    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        store,
        order_id,

        -- attributes
        argMax(source, recency) as source,
        argMax(status, recency) as status,
        argMax(currency, recency) as currency,

        -- metrics
        argMax(amount, recency) as amount,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(updated_at) as updated_at,
        toInt64(uniqExact(event_id)) as versions
    from versions
    group by
        platform,
        store,
        order_id

)

select * from newest
