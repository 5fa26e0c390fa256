-- A table over mart_sentiment, which is one row per post and day: a post that gets another owner takes its
-- comments from one profile to the other, and adding all of them up anew is cheap.
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'date']) }}

with sentiment as (

    select * from {{ ref('mart_sentiment') }}

),

-- An event of a comment names its post only. Of the profiles a post was crawled under, the last one has it.
owners as (

    select
        platform,
        shortcode,
        argMax(profile_id, (updated_at, profile_id)) as owner
    from {{ ref('mart_post_performance') }}
    where (platform, shortcode) in (
        select
            sentiment.platform,
            sentiment.shortcode
        from sentiment
    )
    group by
        platform,
        shortcode

),

days as (

    select
        sentiment.platform,
        owners.owner,
        sentiment.date,
        sum(sentiment.comments) as all_comments,
        sum(sentiment.positive) as all_positive,
        sum(sentiment.neutral) as all_neutral,
        sum(sentiment.negative) as all_negative,
        -- A sum of floats depends on their order; sorted, they have one.
        arraySum(arraySort(groupArray(sentiment.score_sum))) as scores,
        count(*) as all_posts,
        max(sentiment.updated_at) as newest_update
    from sentiment
    inner join owners
        on
            sentiment.platform = owners.platform
            and sentiment.shortcode = owners.shortcode
    group by
        sentiment.platform,
        owners.owner,
        sentiment.date

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
    from days

)

select * from final
