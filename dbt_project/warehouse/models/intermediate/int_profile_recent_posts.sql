{#- A run rewrites the profiles that had an event of a post, from all of their posts: which twelve are the
    last ones is a question to all. The averages do not depend on the order in which rows are read: whole
    numbers are summed as such, and rates in order of their size. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id'],
    engine=merge_tree(),
    order_by=['platform', 'profile_id']
) }}

with ranked as (

    select
        *,
        row_number() over (
            partition by platform, profile_id
            order by published_at desc, shortcode desc
        ) as place,
        max(updated_at) over (partition by platform, profile_id) as newest_event
    from {{ ref('mart_post_performance') }}
    {% if is_incremental() %}
    where (platform, profile_id) in (
        {{ arrived('post_log_events', ['platform', 'profile_id']) }}
    )
    {% endif %}

),

averaged as (

    -- A negative number is no count: it is as good as unknown.
    select
        platform,
        profile_id,
        count() as posts,
        min(published_at) as oldest,
        max(published_at) as newest,
        dateDiff('day', oldest, newest) as days,
        sumIf(toInt128(views), views >= 0) / nullIf(countIf(views >= 0), 0) as mean_views,
        sumIf(toInt128(likes), likes >= 0) / nullIf(countIf(likes >= 0), 0) as mean_likes,
        sumIf(toInt128(comments), comments >= 0) / nullIf(countIf(comments >= 0), 0) as mean_comments,
        sum(toInt128(interactions)) / nullIf(count(interactions), 0) as mean_interactions,
        arraySum(arraySort(groupArray(engagement_rate)))
        / nullIf(count(engagement_rate), 0) as mean_engagement_rate,
        max(newest_event) as newest_update
    from ranked
    where place <= 12
    group by
        platform,
        profile_id

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- posts
        toInt64(posts) as recent_posts,
        oldest as oldest_published_at,
        newest as newest_published_at,
        (posts - 1) * 7 / nullIf(days, 0) as posts_per_week,

        -- averages
        mean_views as avg_views,
        mean_likes as avg_likes,
        mean_comments as avg_comments,
        mean_interactions as avg_interactions,
        mean_engagement_rate as avg_engagement_rate,

        -- provenance
        newest_update as updated_at
    from averaged

)

select * from final
