{#- Like int_profile_history: a post is a row, and a run appends the new events and reads no others. Granules
    of 32 rows: if 0.6 % of a million posts are touched, reading these reads 27 % of all rows, and 59 % with
    granules of 128; if 5 % are touched, nearly all of either. Granules of 16 would read 62 % then, but take
    three times as long to read and to merge. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform', 'profile_id', 'shortcode'],
    settings={'index_granularity': 32}
) }}

with events as (

    {{ new_events('post_log_events', post_event_columns()) }}

),

histories as (

    select
        platform,
        profile_id,
        shortcode,
        groupUniqArray((event_timestamp, event_id, {{ post_values() | join(', ') }})) as events
    from events
    group by
        platform,
        profile_id,
        shortcode

),

final as (

    select
        -- keys
        platform,
        profile_id,
        shortcode,

        -- events
        cast(events, '{{ post_event_set_type() }}') as events
    from histories

)

select * from final
