{#- A run appends the newest of what has arrived and reads nothing else. The newest of several states takes
    events that come twice, late or in any order, and a run that was killed while it wrote, all the same. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    engine=merge_tree('Aggregating'),
    order_by=['platform', 'profile_id']
) }}

with events as (

    {{ arrived('profile_log_events', [
        'platform', 'profile_id', 'event_timestamp', 'event_id',
        "coalesce(nullIf(handle, ''), " ~ dimension_text('handle') ~ ') as handle',
        dimension_text('category') ~ ' as category',
        dimension_text('country') ~ ' as country',
        dimension_flag('is_verified') ~ ' as is_verified',
        dimension_text('bio') ~ ' as bio',
        'followers', 'subscribers', 'following', 'posts', 'videos', 'views'
    ]) }}

),

newest as (

    select
        cast(platform as String) as platform,
        profile_id,
        {%- for name in newest_profile_values() %}
        {{ newest_of(name) }} as {{ name }},
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
        cast(handle, '{{ newest_of_type("String") }}') as handle,
        cast(category, '{{ newest_of_type("String") }}') as category,
        cast(country, '{{ newest_of_type("String") }}') as country,
        cast(is_verified, '{{ newest_of_type("Int64") }}') as is_verified,
        cast(bio, '{{ newest_of_type("String") }}') as bio,

        -- metrics
        cast(followers, '{{ newest_of_type("Int64") }}') as followers,
        cast(subscribers, '{{ newest_of_type("Int64") }}') as subscribers,
        cast(following, '{{ newest_of_type("Int64") }}') as following,
        cast(posts, '{{ newest_of_type("Int64") }}') as posts,
        cast(videos, '{{ newest_of_type("Int64") }}') as videos,
        cast(views, '{{ newest_of_type("Int64") }}') as views,

        -- provenance
        cast(updated_at, 'SimpleAggregateFunction(max, DateTime64(6, \'UTC\'))') as updated_at
    from newest

)

select * from final
