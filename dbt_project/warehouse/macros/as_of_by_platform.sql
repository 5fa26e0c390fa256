{#- The last day of all windows of a platform: a result depends on the events only, never on the clock. -#}
{%- macro as_of_by_platform() -%}
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
