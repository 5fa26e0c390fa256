with edges as (

    {{ relationship_edges('profile_relationship_log_events') }}

),

final as (

    select
        -- keys
        platform,
        source_profile_id,
        target_profile_id,
        relationship_type,

        -- attributes
        source,

        -- provenance
        first_seen_at,
        last_seen_at,
        observations
    from edges

)

select * from final
