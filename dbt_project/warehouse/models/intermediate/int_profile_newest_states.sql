{#- A run appends the newest values of the new events and reads no others. The newest of several states is the
    same for events that are duplicated, late or in any order, and after a run that was killed while it wrote.
    -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform', 'profile_id']
) }}

with events as (

    {{ new_events('profile_log_events', profile_event_columns(
        newest_profile_values(),
        handle="coalesce(nullIf(handle, ''), " ~ dimension_text('handle') ~ ')'
    )) }}

),

newest as (

    select
        platform,
        profile_id,
        {%- for name in newest_profile_values() %}
        {{ newest_state(name) }} as {{ name }},
        {%- endfor %}
        max(event_timestamp) as updated_at
    from {{ with_recency('events') }}
    group by
        platform,
        profile_id

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- attributes
        cast(handle, '{{ newest_state_type("String") }}') as handle,
        cast(category, '{{ newest_state_type("String") }}') as category,
        cast(country, '{{ newest_state_type("String") }}') as country,
        cast(is_verified, '{{ newest_state_type("Int64") }}') as is_verified,
        cast(bio, '{{ newest_state_type("String") }}') as bio,

        -- metrics
        cast(followers, '{{ newest_state_type("Int64") }}') as followers,
        cast(subscribers, '{{ newest_state_type("Int64") }}') as subscribers,
        cast(following, '{{ newest_state_type("Int64") }}') as following,
        cast(posts, '{{ newest_state_type("Int64") }}') as posts,
        cast(videos, '{{ newest_state_type("Int64") }}') as videos,
        cast(views, '{{ newest_state_type("Int64") }}') as views,

        -- provenance
        cast(updated_at, 'SimpleAggregateFunction(max, DateTime64(6, \'UTC\'))') as updated_at
    from newest

)

select * from final
