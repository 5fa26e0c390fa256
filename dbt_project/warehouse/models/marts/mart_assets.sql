{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_moved_days(ref('int_assets')) }}",
    engine=merge_tree(),
    order_by=['platform', 'date', 'entity_type', 'asset_type', 'status']
) }}

with assets as (

    select * from {{ ref('int_assets') }}
    {% if is_incremental() %}
    where (platform, date) in ({{ moved_days(ref('int_assets')) }})
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
