{#- The day all windows of a platform end at: a result depends on the events alone, never on the clock. -#}
{%- macro platform_ends() -%}
    select
        platform,
        {% if var('as_of') -%}
        toDate('{{ var("as_of") }}') as as_of
        {%- else -%}
        cast(max(newest_day) as Date) as as_of
        {%- endif %}
    from {{ ref('int_platform_days') }}
    group by platform
{%- endmacro -%}

{#- The profiles whose row ends at another day than their platform does now: all of it when its newest day has moved,
    and whoever a killed run has left without one. -#}
{%- macro outdated(profiles, ends) -%}
    select
        profiles.platform,
        profiles.profile_id
    from {{ profiles }} as profiles
    inner join {{ ends }} as ends on profiles.platform = ends.platform
    where (profiles.platform, profiles.profile_id, ends.as_of) not in (
        select
            built.platform,
            built.profile_id,
            built.as_of
        from {{ this }} as built
    )
{%- endmacro -%}
