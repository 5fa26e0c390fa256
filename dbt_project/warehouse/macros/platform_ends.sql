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
