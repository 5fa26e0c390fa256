{#- A table of a few rows, so that the last day of all windows is found without reading millions of events. A
    run appends the newest day of the new events; the greatest counts, however often it is written. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform']
) }}

{% set keys = ['platform', "toDate(event_timestamp, 'UTC') as date"] %}

with days as (

    {{ new_events('profile_log_events', keys) }}
    union all
    {{ new_events('post_log_events', keys) }}

),

newest as (

    select
        platform,
        max(date) as newest_day
    from days
    group by platform

),

final as (

    select
        -- keys
        cast(platform as String) as platform,

        -- provenance
        cast(newest_day, 'SimpleAggregateFunction(max, Date)') as newest_day
    from newest

)

select * from final
