-- Rewritten by pair of profiles, the sorting key of the raw tables.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'source_profile_id', 'target_profile_id'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'source_profile_id', 'target_profile_id', 'relationship_type']
) }}

{% set pair = ['platform', 'source_profile_id', 'target_profile_id'] %}
{% if is_incremental() %}
{% set pairs =
    new_events('profile_relationship_log_events', pair)
    ~ ' union distinct '
    ~ new_events('yt_profile_relationship_log_events', pair)
%}
{% endif %}

with of_profiles as (

    select * from {{ ref('stg_beat_profile_relationship_log') }}
    {% if is_incremental() %}
    where (platform, source_profile_id, target_profile_id) in ({{ pairs }})
    {% endif %}

),

of_channels as (

    select * from {{ ref('stg_beat_yt_profile_relationship_log') }}
    {% if is_incremental() %}
    where (platform, source_profile_id, target_profile_id) in ({{ pairs }})
    {% endif %}

),

edges as (

    select * from of_profiles
    union all
    select * from of_channels

),

final as (

    select
        -- keys
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type,

        -- provenance
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        toInt64(sum(observations)) as observations
    from edges
    group by
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type

)

select * from final
