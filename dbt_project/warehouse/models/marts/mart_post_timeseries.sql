{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'shortcode', 'date']) }}

with daily as (

    select * from {{ ref('stg_beat_post_log') }}

),

final as (

    select
        -- keys
        platform,
        profile_id,
        shortcode,
        date,

        -- attributes
        handle,
        publish_time,

        -- metrics
        views,
        likes,
        dislikes,
        comments,
        shares,
        saves,
        plays,
        reach,
        impressions,
        engagement,

        -- provenance
        updated_at,
        observations
    from daily

)

select * from final
