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
        {{ recency() }} as recency
    from {{ source('beat', 'asset_log_events') }}

),

daily as (

    select
        -- keys
        platform,
        entity_id,
        asset_id,
        toDate(event_timestamp, 'UTC') as date,

        -- attributes
        {{ newest('source') }} as source,
        {{ newest('entity_type') }} as entity_type,
        {{ newest('asset_type') }} as asset_type,
        {{ newest('url') }} as url,
        {{ newest('status') }} as status,

        -- provenance
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as versions
    from versions
    group by
        platform,
        entity_id,
        asset_id,
        date

)

select * from daily
