{#- A run rewrites the profiles that had an event of a post, from all of their posts: any of them may be among
    the last twelve. The averages do not depend on the order in which rows are read: integers are summed as
    integers, and rates by ordered_sum. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id'],
    engine=merge_tree(),
    order_by=['platform', 'profile_id']
) }}

with ranked as (

    select
        platform,
        profile_id,
        handle,
        shortcode,
        published_at,
        views,
        likes,
        comments,
        interactions,
        engagement_rate,
        updated_at,
        row_number() over (
            partition by platform, profile_id
            order by published_at desc, shortcode desc
        ) as place
    from {{ ref('int_post_performance') }}
    {% if is_incremental() %}
    where (platform, profile_id) in (
        {{ new_events('post_log_events', ['platform', 'profile_id']) }}
    )
    {% endif %}

),

posts as (

    -- A negative count is unknown. Posts before the last twelve are not averaged.
    select
        *,
        if(place <= 12 and views >= 0, toInt128(views), null) as counted_views,
        if(place <= 12 and likes >= 0, toInt128(likes), null) as counted_likes,
        if(place <= 12 and comments >= 0, toInt128(comments), null) as counted_comments,
        if(place <= 12, toInt128(interactions), null) as counted_interactions,
        if(place <= 12, engagement_rate, null) as recent_rate
    from ranked

),

averaged as (

    select
        platform,
        profile_id,
        argMax(handle, (updated_at, shortcode)) as newest_handle,
        countIf(place <= 12) as posts,
        minIf(published_at, place <= 12) as oldest,
        max(published_at) as newest,
        dateDiff('day', oldest, newest) as days,
        sum(counted_views) / nullIf(count(counted_views), 0) as mean_views,
        sum(counted_likes) / nullIf(count(counted_likes), 0) as mean_likes,
        sum(counted_comments) / nullIf(count(counted_comments), 0) as mean_comments,
        sum(counted_interactions) / nullIf(count(counted_interactions), 0) as mean_interactions,
        {{ ordered_sum('recent_rate') }} / nullIf(count(recent_rate), 0) as mean_engagement_rate,
        arraySort(
            groupArrayIf(
                (toDate(published_at, 'UTC'), assumeNotNull(engagement_rate)), engagement_rate is not null
            )
        ) as rates,
        max(updated_at) as newest_update
    from posts
    group by
        platform,
        profile_id

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- attributes
        newest_handle as posts_handle,

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

        -- engagement
        rates as engagement_rates,

        -- provenance
        newest_update as updated_at
    from averaged

)

select * from final
