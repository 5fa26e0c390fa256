{#- Crawled profiles are scattered over the sort order, so an incremental filter on the raw table would read
    almost every granule. Here a profile is a row, and a run appends the new events and reads no others. The
    union of sets is the same for events that are duplicated, late or in any order, and after a run that was
    killed while it wrote. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform', 'profile_id'],
    settings={'index_granularity': 128}
) }}

with events as (

    {{ new_events('profile_log_events', profile_event_columns(profile_values())) }}

),

histories as (

    select
        platform,
        profile_id,
        groupUniqArray((event_timestamp, event_id, {{ profile_values() | join(', ') }})) as events,
        max(toDate(event_timestamp, 'UTC')) as newest_day
    from events
    group by
        platform,
        profile_id

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- events
        cast(events, '{{ profile_event_set_type() }}') as events,

        -- provenance
        cast(newest_day, 'SimpleAggregateFunction(max, Date)') as newest_day
    from histories

)

select * from final
