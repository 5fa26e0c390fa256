-- Rewritten by actor: a newer version may move a channel's activity to another day or type, but not to
-- another actor.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'actor_id'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'actor_id', 'activity_type', 'date']
) }}

{% if is_incremental() %}
{% set actors =
    new_events('post_activity_log_events', ['platform', 'actor_profile_id'])
    ~ ' union distinct '
    ~ new_events('yt_activity_log_events', ['platform', 'actor_channel_id'])
%}
{% endif %}

with on_posts as (

    select
        platform,
        actor_profile_id as actor_id,
        activity_type,
        event_timestamp as happened_at,
        shortcode
    from {{ ref('stg_beat_post_activity_log') }}
    {% if is_incremental() %}
    where (platform, actor_profile_id) in ({{ actors }})
    {% endif %}

),

of_channels as (

    select
        platform,
        actor_channel_id as actor_id,
        activity_type,
        updated_at as happened_at,
        shortcode
    from {{ ref('stg_beat_yt_activity_log') }}
    {% if is_incremental() %}
    where (platform, actor_channel_id) in ({{ actors }})
    {% endif %}

),

activities as (

    select * from on_posts
    union all
    select * from of_channels

),

final as (

    select
        -- keys
        platform,
        actor_id,
        activity_type,
        toDate(happened_at, 'UTC') as date,

        -- metrics
        toInt64(count(*)) as activities,
        toInt64(uniqExact(shortcode)) as posts,

        -- provenance
        max(happened_at) as updated_at
    from activities
    group by
        platform,
        actor_id,
        activity_type,
        date

)

select * from final
