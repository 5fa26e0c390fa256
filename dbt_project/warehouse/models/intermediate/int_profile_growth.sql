{#- A run computes the profiles that had an event, and those whose row has another as_of: all of a platform if
    its newest day has moved, and any that a killed run left without a row. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'profile_id'],
    engine=merge_tree(),
    order_by=['platform', 'profile_id']
) }}

-- depends_on: {{ ref('int_profile_history') }}

with platforms as (

    {{ as_of_by_platform() }}

),

{% if is_incremental() %}
touched as (

    {{ new_events('profile_log_events', ['cast(platform as String) as platform', 'profile_id']) }}
    union distinct
    select
        histories.platform,
        histories.profile_id
    from {{ ref('int_profile_history') }} as histories
    inner join platforms on histories.platform = platforms.platform
    where (histories.platform, histories.profile_id, platforms.as_of) not in (
        select
            built.platform,
            built.profile_id,
            built.as_of
        from {{ this }} as built
    )

),

{% endif %}
days as (

    select
        platform,
        profile_id,
        date,
        handle,
        category,
        country,
        -- YouTube calls followers subscribers.
        coalesce(followers, subscribers) as day_audience,
        updated_at as day_updated_at
    from {{ ref('int_profile_daily') }}
    {% if is_incremental() %}
    where (platform, profile_id) in (
        select
            touched.platform,
            touched.profile_id
        from touched
    )
    {% endif %}

),

-- anyLast skips NULLs: the newest audience of an earlier day.
steps as (

    select
        *,
        anyLast(day_audience) over (
            partition by platform, profile_id
            order by date
            rows between unbounded preceding and 1 preceding
        ) as previous
    from days

),

jumps as (

    select
        steps.*,
        platforms.as_of,
        if(
            abs(toInt128(steps.day_audience) - toInt128(steps.previous)) >= {{ var('suspicious_jump') }},
            abs({{ growth_rate('steps.day_audience', 'steps.previous') }}),
            null
        ) as jump_rate
    from steps
    inner join platforms on steps.platform = platforms.platform

),

final as (

    -- argMax skips NULLs: the newest value of all days until then.
    select
        -- keys
        platform,
        profile_id,

        -- attributes
        as_of,
        argMaxIf(handle, date, date <= as_of) as handle,
        argMaxIf(category, date, date <= as_of) as category,
        argMaxIf(country, date, date <= as_of) as country,

        -- metrics
        argMaxIf(day_audience, date, date <= as_of) as audience,
        argMaxIf(day_audience, date, date <= as_of - 7) as audience_7d_ago,
        argMaxIf(day_audience, date, date <= as_of - 14) as audience_14d_ago,
        argMaxIf(day_audience, date, date <= as_of - 30) as audience_30d_ago,
        argMaxIf(day_audience, date, date <= as_of - 60) as audience_60d_ago,
        argMaxIf(day_audience, date, date <= as_of - 90) as audience_90d_ago,
        argMinIf(day_audience, date, date <= as_of) as first_audience,
        maxOrNullIf(jump_rate, date > as_of - 30 and date <= as_of) as largest_jump_rate_30d,

        -- provenance
        maxOrNullIf(day_updated_at, date <= as_of and day_audience is not null) as audience_updated_at,
        maxOrNullIf(day_updated_at, date <= as_of) as updated_at
    from jumps
    group by
        platform,
        profile_id,
        as_of

)

select * from final
