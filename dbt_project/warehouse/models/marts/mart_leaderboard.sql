{#- A table, not incremental: one profile's change moves the ranks of all below it, and its inputs are one row
    per profile, except the views of posts, of which only the first places are kept. -#}
{{ config(
    engine=merge_tree(),
    order_by=['platform', 'leaderboard', 'period', 'rank', 'profile_id', 'shortcode']
) }}

with platforms as (

    {{ as_of_by_platform() }}

),

-- A join without a match gives NULL for a Nullable column, else an empty array of rates.
joined as (

    select
        platform,
        profile_id,
        growth.* except (platform, profile_id, as_of, updated_at),
        posts.posts_handle,
        posts.engagement_rates,
        posts.updated_at as posts_updated_at
    from {{ ref('int_profile_growth') }} as growth
    full outer join {{ ref('int_profile_recent_posts') }} as posts using (platform, profile_id)

),

measured as (

    select
        joined.*,
        {{ growth('audience', 'audience_7d_ago') }} as growth_7d,
        {{ growth('audience_7d_ago', 'audience_14d_ago') }} as growth_7d_before,
        {{ growth('audience', 'audience_30d_ago') }} as growth_30d,
        {{ growth('audience_30d_ago', 'audience_60d_ago') }} as growth_30d_before,
        {{ growth('audience', 'first_audience') }} as growth_all,
        {{ growth_rate('audience', 'audience_7d_ago') }} as growth_rate_7d,
        {{ growth_rate('audience', 'audience_30d_ago') }} as growth_rate_30d,
        {{ growth_rate('audience', 'first_audience') }} as growth_rate_all,
        {{ engagement('as_of - 7', 'as_of') }} as engagement_7d,
        {{ engagement('as_of - 14', 'as_of - 7') }} as engagement_7d_before,
        {{ engagement('as_of - 30', 'as_of') }} as engagement_30d,
        {{ engagement('as_of - 60', 'as_of - 30') }} as engagement_30d_before,
        {{ engagement("toDate32('1969-12-31')", 'as_of') }} as engagement_all
    from joined
    inner join platforms on joined.platform = platforms.platform

),

entries as (

    select
        platform,
        profile_id,
        coalesce(handle, posts_handle) as known_handle,
        category,
        country,
        entry.1 as leaderboard,
        entry.2 as period,
        entry.3 as value,
        entry.4 as rate,
        -- Engagement ranks by its rate, and the others by their value.
        leaderboard = 'profiles_by_engagement' as is_rated,
        if(is_rated, null, value) as ranked_value,
        if(is_rated, rate, null) as ranked_rate,
        entry.5 as value_before,
        entry.6 as rate_before,
        ranked_value is not null or ranked_rate is not null as ranks,
        value_before is not null or rate_before is not null as ranked_before,
        if(is_rated, toNullable(posts_updated_at), audience_updated_at) as value_updated_at
    from measured
    -- Leaderboard, period, value, rate, and the value and rate of the period before.
    array join [
        ('profiles_by_followers', '7d', audience, null, audience_7d_ago, null),
        ('profiles_by_followers', '30d', audience, null, audience_30d_ago, null),
        ('profiles_by_followers', 'all', audience, null, null, null),
        ('profiles_by_growth', '7d', growth_7d, growth_rate_7d, growth_7d_before, null),
        ('profiles_by_growth', '30d', growth_30d, growth_rate_30d, growth_30d_before, null),
        ('profiles_by_growth', 'all', growth_all, growth_rate_all, null, null),
        ('profiles_by_engagement', '7d', engagement_7d.1, engagement_7d.2, null, engagement_7d_before.2),
        ('profiles_by_engagement', '30d', engagement_30d.1, engagement_30d.2, null, engagement_30d_before.2),
        ('profiles_by_engagement', 'all', engagement_all.1, engagement_all.2, null, null)
    ] as entry

),

-- A profile that ranked in the period before and no longer does still takes a place then.
ranked as (

    select
        *,
        toInt64(rank() over places) as place,
        toInt64(rank() over places_before) as place_before,
        toInt64(rank() over category_places) as category_place,
        toInt64(rank() over category_places_before) as category_place_before,
        toInt64(rank() over country_places) as country_place,
        toInt64(rank() over country_places_before) as country_place_before
    from entries
    window
        places as (
            partition by platform, leaderboard, period, ranks
            order by ranked_value desc, ranked_rate desc
        ),
        places_before as (
            partition by platform, leaderboard, period, ranked_before
            order by value_before desc, rate_before desc
        ),
        category_places as (
            partition by platform, leaderboard, period, category, ranks
            order by ranked_value desc, ranked_rate desc
        ),
        category_places_before as (
            partition by platform, leaderboard, period, category, ranked_before
            order by value_before desc, rate_before desc
        ),
        country_places as (
            partition by platform, leaderboard, period, country, ranks
            order by ranked_value desc, ranked_rate desc
        ),
        country_places_before as (
            partition by platform, leaderboard, period, country, ranked_before
            order by value_before desc, rate_before desc
        )

),

profiles as (

    select
        platform,
        leaderboard,
        period,
        place,
        profile_id,
        '' as shortcode,
        known_handle,
        category,
        country,
        value,
        rate,
        if(ranked_before, place_before - place, null) as climbed,
        if(category is null, null, category_place) as place_in_category,
        if(ranked_before, category_place_before - place_in_category, null) as climbed_in_category,
        if(country is null, null, country_place) as place_in_country,
        if(ranked_before, country_place_before - place_in_country, null) as climbed_in_country,
        value_updated_at
    from ranked
    where ranks

),

posts as (

    select
        platform,
        'posts_by_views' as leaderboard,
        'all' as period,
        toInt64(rank() over (partition by platform order by views desc)) as place,
        profile_id,
        shortcode,
        handle as known_handle,
        null as category,
        null as country,
        views as value,
        null as rate,
        null as climbed,
        null as place_in_category,
        null as climbed_in_category,
        null as place_in_country,
        null as climbed_in_country,
        views_updated_at as value_updated_at
    from {{ ref('int_post_performance') }}
    where views is not null

),

all_entries as (

    select * from profiles
    union all
    select * from posts
    where place <= {{ var('ranked_posts') }}

),

final as (

    select
        -- keys
        platform,
        leaderboard,
        period,
        place as rank,
        profile_id,
        shortcode,

        -- attributes
        known_handle as handle,
        category,
        country,

        -- metrics
        assumeNotNull(value) as value,
        rate,
        climbed as rank_change,
        place_in_category as rank_in_category,
        climbed_in_category as rank_change_in_category,
        place_in_country as rank_in_country,
        climbed_in_country as rank_change_in_country,

        -- provenance
        assumeNotNull(value_updated_at) as updated_at
    from all_entries

)

select * from final
