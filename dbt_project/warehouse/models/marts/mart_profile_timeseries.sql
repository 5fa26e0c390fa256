{#- A run rewrites, of each profile that had an event, the days from the first one touched, and the carried
    days just before it: earlier days depend on earlier events only. Days are never lost, so deleting the keys
    of the new rows deletes all rows that they replace. Partitioned by week, so that deletes and data tests
    touch the newest weeks only. A replay may insert into more weeks than the 100 that ClickHouse allows by
    default. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id', 'date'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'profile_id', 'date'],
    partition_by='toMonday(date)',
    query_settings={'max_partitions_per_insert_block': 0}
) }}

with
{% if is_incremental() %}
touched as (

    select
        cast(platform as String) as platform,
        profile_id,
        min(date) as first_day
    from (
        {{ new_events('profile_log_events', [
            'platform', 'profile_id', "toDate(event_timestamp, 'UTC') as date"
        ]) }}
    )
    group by
        platform,
        profile_id

),

daily as (

    select * from {{ ref('int_profile_daily') }}
    where (platform, profile_id) in (
        select
            touched.platform,
            touched.profile_id
        from touched
    )

),
{% else %}
daily as (

    select * from {{ ref('int_profile_daily') }}

),
{% endif %}
days as (

    select
        daily.*,
        -- YouTube calls followers subscribers.
        coalesce(daily.followers, daily.subscribers) as crawled_audience,
        {{ 'touched.first_day' if is_incremental() else 'daily.date' }} as first_touched_day
    from daily
    {% if is_incremental() %}
    inner join touched
        on
            daily.platform = touched.platform
            and daily.profile_id = touched.profile_id
    {% endif %}

),

-- anyLast skips NULLs: each value is the newest up to the day, from any day so far.
known as (

    select
        platform,
        profile_id,
        date as crawled_on,
        dateDiff('day', date, leadInFrame(date, 1, date + 1) over following_day) as days_until_next,
        -- The day after the last crawl before the first touched day; without such a crawl, a day before all
        -- others.
        maxIf(date, date < first_touched_day) over all_days + 1 as rewritten_from,
        updated_at,
        observations,
        anyLast(handle) over days_so_far as handle,
        anyLast(crawled_audience) over days_so_far as audience,
        anyLast(if(crawled_audience is null, null, updated_at)) over days_so_far as audience_updated_at,
        anyLast(followers) over days_so_far as followers,
        anyLast(following) over days_so_far as following,
        anyLast(posts) over days_so_far as posts,
        anyLast(subscribers) over days_so_far as subscribers,
        anyLast(views) over days_so_far as views,
        anyLast(videos) over days_so_far as videos,
        anyLast(reach) over days_so_far as reach,
        anyLast(avg_likes) over days_so_far as avg_likes,
        anyLast(avg_comments) over days_so_far as avg_comments,
        anyLast(avg_views) over days_so_far as avg_views
    from days
    window
        all_days as (partition by platform, profile_id),
        days_so_far as (
            partition by platform, profile_id
            order by date
            rows between unbounded preceding and current row
        ),
        following_day as (
            partition by platform, profile_id
            order by date
            rows between current row and 1 following
        )

),

filled as (

    select
        *,
        crawled_on + days_since as date,
        toInt64(days_since > 0) as is_carried
    from known
    array join range(toUInt64(days_until_next)) as days_since
    where date + 30 >= rewritten_from

),

-- No day is missing: the n-th row before is the n-th day before.
compared as (

    select
        *,
        lagInFrame(audience, 1) over days_before as audience_1d_ago,
        lagInFrame(audience, 7) over days_before as audience_7d_ago,
        lagInFrame(audience, 30) over days_before as audience_30d_ago,
        lagInFrame(posts, 1) over days_before as posts_1d_ago,
        lagInFrame(posts, 7) over days_before as posts_7d_ago,
        lagInFrame(posts, 30) over days_before as posts_30d_ago,
        lagInFrame(views, 1) over days_before as views_1d_ago,
        lagInFrame(views, 7) over days_before as views_7d_ago,
        lagInFrame(views, 30) over days_before as views_30d_ago
    from filled
    window
        days_before as (
            partition by platform, profile_id
            order by date
            rows between 30 preceding and current row
        )

),

final as (

    select
        -- keys
        platform,
        profile_id,
        date,

        -- attributes
        handle,
        is_carried,

        -- metrics
        followers,
        following,
        posts,
        subscribers,
        views,
        videos,
        reach,
        avg_likes,
        avg_comments,
        avg_views,
        audience,

        -- growth
        {{ growth('audience', 'audience_1d_ago') }} as audience_growth_1d,
        {{ growth_rate('audience', 'audience_1d_ago') }} as audience_growth_rate_1d,
        {{ growth('audience', 'audience_7d_ago') }} as audience_growth_7d,
        {{ growth_rate('audience', 'audience_7d_ago') }} as audience_growth_rate_7d,
        {{ growth('audience', 'audience_30d_ago') }} as audience_growth_30d,
        {{ growth_rate('audience', 'audience_30d_ago') }} as audience_growth_rate_30d,
        {{ growth('posts', 'posts_1d_ago') }} as posts_growth_1d,
        {{ growth_rate('posts', 'posts_1d_ago') }} as posts_growth_rate_1d,
        {{ growth('posts', 'posts_7d_ago') }} as posts_growth_7d,
        {{ growth_rate('posts', 'posts_7d_ago') }} as posts_growth_rate_7d,
        {{ growth('posts', 'posts_30d_ago') }} as posts_growth_30d,
        {{ growth_rate('posts', 'posts_30d_ago') }} as posts_growth_rate_30d,
        {{ growth('views', 'views_1d_ago') }} as views_growth_1d,
        {{ growth_rate('views', 'views_1d_ago') }} as views_growth_rate_1d,
        {{ growth('views', 'views_7d_ago') }} as views_growth_7d,
        {{ growth_rate('views', 'views_7d_ago') }} as views_growth_rate_7d,
        {{ growth('views', 'views_30d_ago') }} as views_growth_30d,
        {{ growth_rate('views', 'views_30d_ago') }} as views_growth_rate_30d,

        -- provenance
        audience_updated_at,
        updated_at,
        if(is_carried = 1, 0, observations) as observations
    from compared
    where date >= rewritten_from

)

select * from final
