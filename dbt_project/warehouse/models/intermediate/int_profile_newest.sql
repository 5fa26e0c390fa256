-- A profile may be in several rows until ClickHouse merges them; the greatest of their states is the newest.
-- The element of an empty array is NULL.
with newest as (

    select
        platform,
        profile_id,
        {%- for name in newest_profile_values() %}
        tupleElement(max({{ name }})[1], 'value') as {{ name }},
        {%- endfor %}
        toDateTime64(max(updated_at), 6, 'UTC') as crawled_at
    from {{ ref('int_profile_newest_states') }}
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
        handle,
        category,
        country,
        is_verified,
        bio,

        -- metrics; YouTube's words for followers and posts are subscribers and videos
        coalesce(followers, subscribers) as audience,
        following,
        coalesce(posts, videos) as posts,
        views,

        -- provenance
        crawled_at
    from newest

)

select * from final
