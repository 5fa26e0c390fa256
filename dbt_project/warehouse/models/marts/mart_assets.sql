-- An event never leaves its day, so a day is rewritten from its own events, without reading the raw table's
-- other months. A touched day always has rows, so deleting the days of the new rows deletes all rows that
-- they replace.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'date'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'date', 'entity_type', 'asset_type', 'status']
) }}

with assets as (

    select * from {{ ref('stg_beat_asset_log') }}
    {% if is_incremental() %}
    where (platform, date) in (
        {{ new_events('asset_log_events', ['platform', "toDate(event_timestamp, 'UTC')"]) }}
    )
    {% endif %}

),

final as (

    select
        -- keys
        platform,
        entity_type,
        asset_type,
        date,
        status,

        -- metrics
        toInt64(count(*)) as assets,
        toInt64(uniqExact(entity_id)) as entities,
        toInt64(sum(versions)) as events,

        -- provenance
        min(first_seen_at) as first_seen_at,
        max(updated_at) as updated_at
    from assets
    group by
        platform,
        entity_type,
        asset_type,
        date,
        status

)

select * from final
