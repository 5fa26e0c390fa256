-- A table over mart_sentiment, which is one row per post and day: a post that changes its owner moves its
-- comments from one profile to the other, and summing all of them again is cheap.
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'date']) }}

with posts as (

    select
        platform,
        shortcode,
        groupArray((date, comments, positive, neutral, negative, score_sum, updated_at)) as days
    from {{ ref('mart_sentiment') }}
    group by
        platform,
        shortcode

),

-- An event of a comment has its post only. Of the profiles that a post was crawled under, the last one owns
-- it.
owned as (

    select
        platform,
        shortcode,
        argMax(crawled.profile_id, (crawled.updated_at, crawled.profile_id)) as owner,
        any(posts.days) as days
    from {{ ref('int_post_performance') }} as crawled
    inner join posts using (platform, shortcode)
    group by
        platform,
        shortcode

),

profiles as (

    select
        platform,
        owner,
        day.1 as date,
        sum(day.2) as all_comments,
        sum(day.3) as all_positive,
        sum(day.4) as all_neutral,
        sum(day.5) as all_negative,
        {{ ordered_sum('day.6') }} as scores,
        count(*) as all_posts,
        max(day.7) as newest_update
    from owned
    array join days as day
    group by
        platform,
        owner,
        date

),

final as (

    select
        -- keys
        platform,
        owner as profile_id,
        date,

        -- metrics
        all_comments as comments,
        all_positive as positive,
        all_neutral as neutral,
        all_negative as negative,
        scores / all_comments as mean_score,
        scores as score_sum,
        toInt64(all_posts) as posts,

        -- provenance
        newest_update as updated_at
    from profiles

)

select * from final
