{#- A table, not incremental: one profile's change moves the z-scores of its whole category, and its input is
    one row per profile. -#}
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id']) }}

with profiles as (

    select
        *,
        {{ growth_rate('audience', 'audience_7d_ago') }} as growth_rate_7d,
        {{ growth_rate('audience', 'audience_30d_ago') }} as growth_rate_30d,
        {{ growth_rate('audience', 'audience_90d_ago') }} as growth_rate_90d
    from {{ ref('int_profile_growth') }}

),

categories as (

    -- Sorted, because a sum of floats depends on their order.
    select
        platform,
        category,
        arraySort(groupArray(assumeNotNull(growth_rate_30d))) as rates,
        toInt64(length(rates)) as compared_profiles,
        -- All rates are equal if the first and last are; the deviation may be a rounding error then.
        length(rates) >= {{ var('least_profiles_of_a_z_score') }} and rates[1] < rates[-1] as has_deviation,
        arraySum(rates) / length(rates) as mean,
        sqrt(arraySum(arrayMap(rate -> (rate - mean) * (rate - mean), rates)) / length(rates)) as deviation
    from profiles
    where
        category is not null
        and growth_rate_30d is not null
    group by
        platform,
        category

),

scored as (

    select
        profiles.*,
        categories.compared_profiles as category_profiles,
        if(
            categories.has_deviation = 1,
            (profiles.growth_rate_30d - categories.mean) / categories.deviation,
            null
        ) as z_score_30d
    from profiles
    left join categories
        on
            profiles.platform = categories.platform
            and profiles.category = categories.category

),

final as (

    select
        -- keys
        platform,
        profile_id,

        -- attributes
        as_of,
        handle,
        category,

        -- metrics
        audience,
        audience_7d_ago,
        audience_30d_ago,
        audience_90d_ago,

        -- growth
        {{ growth('audience', 'audience_7d_ago') }} as growth_7d,
        growth_rate_7d,
        {{ growth('audience', 'audience_30d_ago') }} as growth_30d,
        growth_rate_30d,
        {{ growth('audience', 'audience_90d_ago') }} as growth_90d,
        growth_rate_90d,
        category_profiles,
        z_score_30d,
        largest_jump_rate_30d,
        toInt64(
            coalesce(largest_jump_rate_30d > {{ var('suspicious_jump_rate') }}, false)
            or coalesce(abs(z_score_30d) > {{ var('suspicious_z_score') }}, false)
        ) as is_suspicious,

        -- provenance
        updated_at
    from scored

)

select * from final
