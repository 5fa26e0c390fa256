with mart as (

    select * from {{ source('serving', 'mart_leaderboard') }}

),

final as (

    select
        -- keys
        platform,
        leaderboard,
        rank,
        profile_id,
        shortcode,

        -- attributes
        handle,

        -- metrics
        value,

        -- provenance
        updated_at
    from mart

)

select * from final
