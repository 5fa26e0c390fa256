-- Rewritten by post: a newer judgement may change a comment's sentiment, and a late one its first day, but
-- not its post.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'shortcode'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'shortcode', 'date']
) }}

with comments as (

    select * from {{ ref('stg_beat_sentiment_log') }}
    {% if is_incremental() %}
    where (platform, shortcode) in (
        {{ new_events('sentiment_log_events', ['platform', 'shortcode']) }}
    )
    {% endif %}

),

days as (

    select
        platform,
        shortcode,
        toDate(first_seen_at, 'UTC') as date,
        count(*) as comments,
        countIf(sentiment = 'positive') as positive,
        countIf(sentiment = 'neutral') as neutral,
        countIf(sentiment = 'negative') as negative,
        {{ ordered_sum('score') }} as scores,
        max(updated_at) as updated_at
    from comments
    group by
        platform,
        shortcode,
        date

),

final as (

    select
        -- keys
        platform,
        shortcode,
        date,

        -- metrics
        toInt64(comments) as comments,
        toInt64(positive) as positive,
        toInt64(neutral) as neutral,
        toInt64(negative) as negative,
        scores / comments as mean_score,
        scores as score_sum,

        -- provenance
        updated_at
    from days

)

select * from final
