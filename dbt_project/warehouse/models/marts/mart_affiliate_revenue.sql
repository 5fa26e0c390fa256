-- A table over mart_orders, which is one row per order and a hundredth of all events: summing all of it is
-- cheaper than finding the days that orders have left.
{{ config(engine=merge_tree(), order_by=['platform', 'store', 'currency', 'date']) }}

with orders as (

    select
        platform,
        store,
        currency,
        toDate(updated_at, 'UTC') as date,
        -- Wide enough that even a sum of absurd amounts does not overflow.
        toDecimal256(amount, 9) as worth,
        multiIf(
            lower(status) in ('confirmed', 'approved', 'paid', 'completed', 'delivered'), 'confirmed',
            lower(status) in ('pending', 'processing', 'created'), 'pending',
            lower(status) in ('cancelled', 'canceled', 'refunded', 'returned', 'rejected'), 'cancelled',
            'other'
        ) as outcome,
        updated_at
    from {{ ref('mart_orders') }}

),

final as (

    select
        -- keys
        platform,
        store,
        currency,
        date,

        -- metrics
        toInt64(count(*)) as orders,
        toInt64(countIf(outcome = 'confirmed')) as confirmed_orders,
        toInt64(countIf(outcome = 'pending')) as pending_orders,
        toInt64(countIf(outcome = 'cancelled')) as cancelled_orders,
        toInt64(countIf(outcome = 'other')) as other_orders,
        accurateCastOrNull(sum(worth), 'Decimal(38, 9)') as gross_amount,
        accurateCastOrNull(sumIf(worth, outcome = 'confirmed'), 'Decimal(38, 9)') as revenue,
        accurateCastOrNull(sumIf(worth, outcome = 'pending'), 'Decimal(38, 9)') as pending_amount,
        accurateCastOrNull(sumIf(worth, outcome = 'cancelled'), 'Decimal(38, 9)') as cancelled_amount,
        accurateCastOrNull(sumIf(worth, outcome = 'other'), 'Decimal(38, 9)') as other_amount,

        -- provenance
        max(updated_at) as updated_at
    from orders
    group by
        platform,
        store,
        currency,
        date

)

select * from final
