{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'store', 'order_id'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'store', 'order_id']
) }}

with orders as (

    select * from {{ ref('stg_beat_affiliate_order') }}
    {% if is_incremental() %}
    where (platform, store, order_id) in (
        {{ new_events('affiliate_order_events', ['platform', 'store', 'order_id']) }}
    )
    {% endif %}

),

final as (

    select
        -- keys
        platform,
        store,
        order_id,

        -- attributes
        source,
        status,
        currency,

        -- metrics
        amount,

        -- provenance
        first_seen_at,
        updated_at,
        versions
    from orders

)

select * from final
