{#- One rule for an edge between two profiles, whichever raw table its events are in. -#}
{%- macro relationship_edges(table) -%}
    select
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type,
        {{ newest('source') }} as source,
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as last_seen_at,
        {{ distinct_events() }} as observations
    from (
        select
            cast(platform as String) as platform,
            source_profile_id,
            target_profile_id,
            cast(relationship_type as String) as relationship_type,
            cast(source as String) as source,
            event_timestamp,
            event_id,
            {{ recency() }} as recency
        from {{ source('beat', table) }}
    )
    group by
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type
{%- endmacro -%}
