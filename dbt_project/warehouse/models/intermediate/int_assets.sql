-- Ordered by day, as the mart reads it: the raw table is sorted by entity, and has all days in each place.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'entity_id', 'asset_id'],
    engine=merge_tree(),
    order_by=['platform', 'date', 'entity_id', 'asset_id']
) }}

with assets as (

    select * from {{ ref('stg_beat_asset_log') }}
    {% if is_incremental() %}
    where (platform, entity_id, asset_id) in (
        {{ arrived('asset_log_events', ['platform', 'entity_id', 'asset_id']) }}
    )
    {% endif %}

),

final as (

    select
        -- keys
        platform,
        entity_id,
        asset_id,

        -- attributes
        toDate(updated_at, 'UTC') as date,
        entity_type,
        asset_type,
        status,

        -- metrics
        versions,

        -- provenance
        first_seen_at,
        updated_at,
        dates,
        arrived_at
    from assets

)

select * from final
