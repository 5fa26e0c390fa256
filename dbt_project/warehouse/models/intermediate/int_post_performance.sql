{#- A run rewrites the posts that had an event, from all of their days: a late event may be the first of a
    post, which changes every growth. No column depends on the newest day of the platform, which would change
    every post with every day. The days come from int_post_history, where a post is one row, found by its key:
    for 5 % of the posts, ClickHouse read all 5 million rows of mart_post_timeseries.
    Partitioned by week, so that deletes and data tests touch the weeks of these posts only. A post that is
    seen in another week moves there: the delete searches all of them for its key. A replay may insert into
    more weeks than the 100 that ClickHouse allows by default. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id', 'shortcode'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'profile_id', 'shortcode'],
    partition_by='toMonday(last_seen_date)',
    query_settings={'max_partitions_per_insert_block': 0}
) }}

with events as (

    select
        platform,
        profile_id,
        shortcode,
        {{- event_set_columns(post_values()) }}
    from {{ ref('int_post_history') }}
    array join events as event
    {% if is_incremental() %}
    where (platform, profile_id, shortcode) in (
        {{ new_events('post_log_events', ['platform', 'profile_id', 'shortcode']) }}
    )
    {% endif %}

),

-- An event may be in several rows of a post until ClickHouse merges them, which the rule takes for copies.
daily as (

    {{ post_days('events') }}

),

days as (

    select
        *,
        min(date) over (partition by platform, profile_id, shortcode) as first_day
    from daily

),

-- argMax and argMin skip NULLs: the value of the newest, or oldest, day that has one. A day is one row, so
-- there are no ties.
posts as (

    select
        platform,
        profile_id,
        shortcode,

        argMax(handle, date) as newest_handle,
        argMax(publish_time, date) as newest_publish_time,
        min(date) as first_seen_date,
        max(date) as last_seen_date,

        argMax(views, date) as newest_views,
        argMax(likes, date) as newest_likes,
        argMax(dislikes, date) as newest_dislikes,
        argMax(comments, date) as newest_comments,
        argMax(shares, date) as newest_shares,
        argMax(saves, date) as newest_saves,
        argMax(plays, date) as newest_plays,
        argMax(reach, date) as newest_reach,
        argMax(impressions, date) as newest_impressions,
        argMax(engagement, date) as newest_engagement,

        argMin(views, date) as first_views,
        argMaxIf(views, date, date <= first_day + 1) as views_1d,
        argMaxIf(views, date, date <= first_day + 3) as views_3d,
        argMaxIf(views, date, date <= first_day + 7) as views_7d,
        argMin(likes, date) as first_likes,
        argMaxIf(likes, date, date <= first_day + 1) as likes_1d,
        argMaxIf(likes, date, date <= first_day + 3) as likes_3d,
        argMaxIf(likes, date, date <= first_day + 7) as likes_7d,

        maxOrNullIf(updated_at, views is not null) as newest_views_updated_at,
        max(updated_at) as newest_updated_at,
        sum(observations) as all_observations
    from days
    group by
        platform,
        profile_id,
        shortcode

),

measured as (

    select
        *,
        -- A publish_time after the first day seen is wrong.
        if(
            newest_publish_time < toDateTime64(first_seen_date + 1, 6, 'UTC'),
            assumeNotNull(newest_publish_time),
            toDateTime64(first_seen_date, 6, 'UTC')
        ) as published,
        arrayFilter(
            number -> coalesce(number >= 0, false),
            [newest_likes, newest_comments, newest_shares, newest_saves]
        ) as parts,
        {{ growth('views_1d', 'first_views') }} as more_views_1d,
        {{ growth('views_3d', 'first_views') }} as more_views_3d,
        {{ growth('views_7d', 'first_views') }} as more_views_7d,
        {{ growth('likes_1d', 'first_likes') }} as more_likes_1d,
        {{ growth('likes_3d', 'first_likes') }} as more_likes_3d,
        {{ growth('likes_7d', 'first_likes') }} as more_likes_7d,
        toInt64(dateDiff('day', first_seen_date, last_seen_date)) as days_seen
    from posts

),

rated as (

    select
        *,
        if(
            empty(parts),
            null,
            accurateCastOrNull(arraySum(number -> toInt128(assumeNotNull(number)), parts), 'Int64')
        ) as counted_interactions,
        multiIf(newest_reach > 0, newest_reach, newest_views > 0, newest_views, null) as audience
    from measured

),

final as (

    select
        -- keys
        platform,
        profile_id,
        shortcode,

        -- attributes
        newest_handle as handle,
        newest_publish_time as publish_time,
        published as published_at,
        first_seen_date,
        last_seen_date,
        toInt64(dateDiff('day', published, last_seen_date)) as age_days,

        -- metrics
        newest_views as views,
        newest_likes as likes,
        newest_dislikes as dislikes,
        newest_comments as comments,
        newest_shares as shares,
        newest_saves as saves,
        newest_plays as plays,
        newest_reach as reach,
        newest_impressions as impressions,
        newest_engagement as engagement,

        -- engagement
        counted_interactions as interactions,
        counted_interactions / audience as engagement_rate,

        -- growth
        if(days_seen >= 1, more_views_1d, null) as views_growth_1d,
        if(days_seen >= 3, more_views_3d, null) as views_growth_3d,
        if(days_seen >= 7, more_views_7d, null) as views_growth_7d,
        if(days_seen >= 1, more_likes_1d, null) as likes_growth_1d,
        if(days_seen >= 3, more_likes_3d, null) as likes_growth_3d,
        if(days_seen >= 7, more_likes_7d, null) as likes_growth_7d,

        -- provenance
        newest_views_updated_at as views_updated_at,
        newest_updated_at as updated_at,
        all_observations as observations
    from rated

)

select * from final
