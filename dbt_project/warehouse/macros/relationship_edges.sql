{#- One rule for an edge between two profiles, whichever raw table its events are in. -#}
{%- macro relationship_edges(table) -%}
    {#- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one. -#}
    select
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type,
        argMax(source, recency) as source,
        min(event_timestamp) as first_seen_at,
        max(event_timestamp) as last_seen_at,
        toInt64(uniqExact(event_id)) as observations
    from (
        select
            cast(platform as String) as platform,
            source_profile_id,
            target_profile_id,
            cast(relationship_type as String) as relationship_type,
            cast(source as String) as source,
            event_timestamp,
            event_id,
            -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
            (event_timestamp, toString(event_id)) as recency
        from {{ source('beat', table) }}
    )
    group by
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type
{%- endmacro -%}
