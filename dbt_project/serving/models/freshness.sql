with synced as (

    select
        mart,
        rows,
        synced_at,
        changed_at
    from {{ source('serving', 'freshness') }}

),

-- tests/dbt_project/test_api_contract.py compares them with what the views read.
reads (view_name, mart) as (

    values
    ('audience_overlap', 'mart_network_overlap'),
    ('discovery', 'mart_discovery'),
    ('last_posts', 'mart_post_performance'),
    ('leaderboard', 'mart_leaderboard'),
    ('post', 'mart_post_performance'),
    ('post_daily', 'mart_post_timeseries'),
    ('post_sentiment', 'mart_sentiment'),
    ('profile', 'mart_discovery'),
    ('profile', 'mart_profile_growth'),
    ('profile_daily', 'mart_profile_timeseries'),
    ('profile_sentiment', 'mart_sentiment_profile'),
    ('search', 'mart_discovery')

),

joined as (

    select
        reads.view_name,
        reads.mart,
        synced.synced_at,
        synced.changed_at,
        synced.rows,
        min(synced.synced_at) over views as first_synced_at,
        bool_and(synced.synced_at is not null) over views as are_synced
    from reads
    left join synced
        on reads.mart = synced.mart
    window
        views as (
            partition by reads.view_name
        )

),

final as (

    select
        -- keys
        view_name,
        mart,

        -- times
        case when are_synced then first_synced_at end as as_of,
        synced_at,
        changed_at,

        -- metrics
        rows
    from joined

)

select * from final
