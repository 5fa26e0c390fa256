{#- Which profiles are crawled follows no order, so nearly every granule of the raw table holds one that was:
    reading the touched ones there is reading it all. Here a profile is a row, and a run appends what has arrived
    and reads nothing else. The union of sets takes events that come twice, late or in any order, and a run that
    was killed while it wrote, all the same. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform', 'profile_id'],
    settings={'index_granularity': 128}
) }}

with events as (

    {{ arrived('profile_log_events', [
        'platform', 'profile_id', 'event_timestamp', 'event_id', 'handle',
        dimension_text('category') ~ ' as category',
        dimension_text('country') ~ ' as country',
        dimension_flag('is_verified') ~ ' as is_verified',
        'followers', 'following', 'posts', 'subscribers', 'views', 'videos', 'reach',
        'avg_likes', 'avg_comments', 'avg_views'
    ]) }}

),

histories as (

    select
        cast(platform as String) as platform,
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
        cast(events, '{{ profile_events_type() }}') as events,

        -- provenance
        cast(newest_day, 'SimpleAggregateFunction(max, Date)') as newest_day
    from histories

)

select * from final
